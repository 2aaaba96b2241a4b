"""The operations on objects, as plans; `functions` has each as a blocking function and as a coroutine function."""
