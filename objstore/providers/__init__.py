"""The object stores: what several kinds share; in `cloud`, `web` and `local`, what each really does differently."""
