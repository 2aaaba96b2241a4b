/* Preloaded, it lets one chosen allocation of the watched libraries fail: whoever calls malloc and the like from there
   is counted, all others are served as ever. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

#define MOST 8

static struct { uintptr_t start, end; } watched[MOST];
static int count_watched;
static atomic_long seen, fatal = -1;

static int look(struct dl_phdr_info *info, size_t size, void *name) {
    if (strstr(info->dlpi_name, name) == NULL)
        return 0;
    for (int i = 0; i < info->dlpi_phnum && count_watched < MOST; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            watched[count_watched].start = info->dlpi_addr + part->p_vaddr;
            watched[count_watched].end = info->dlpi_addr + part->p_vaddr + part->p_memsz;
            count_watched++;
        }
    }
    return 0;
}

/* Watch the loaded libraries whose paths have a text in them; return how many pieces of code are watched. */
int scarce_watch(const char *name) {
    dl_iterate_phdr(look, (void *)name);
    return count_watched;
}

/* Count from 0 again, and let the allocation of that number fail; -1: none. */
void scarce_fail(long number) {
    seen = 0;
    fatal = number;
}

long scarce_seen(void) {
    return seen;
}

/* Say where the allocation that fails was asked for. */
static void say(void *caller) {
    Dl_info where;
    if (getenv("SCARCE_SAYS") && dladdr(caller, &where))
        dprintf(2, "in %s, %s + 0x%lx\n", where.dli_fname, where.dli_sname ? where.dli_sname : "?",
                (long)((char *)caller - (char *)where.dli_fbase));
}

static int fails(void *caller) {
    for (int i = 0; i < count_watched; i++)
        if ((uintptr_t)caller >= watched[i].start && (uintptr_t)caller < watched[i].end) {
            if (atomic_fetch_add(&seen, 1) != fatal)
                return 0;
            say(caller);
            errno = ENOMEM;
            return 1;
        }
    return 0;
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

char *strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}
