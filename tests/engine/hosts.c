// Preloaded by tests: names as a file says, $HOSTS: "name address address", "name fail", "name 300ms address". It is read
// for each look-up, which is noted in $HOSTS.log, as is each thread that is begun. The monotonic clock can be set ahead.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void note(const char *what) {
    char path[512];
    snprintf(path, sizeof path, "%s.log", getenv("HOSTS"));
    FILE *log = fopen(path, "a");
    if (log) {
        fprintf(log, "%s\n", what);
        fclose(log);
    }
}

static long ahead;

void hosts_pass(long seconds) { ahead += seconds; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int error = real(clock, now);
    if (clock == CLOCK_MONOTONIC)
        now->tv_sec += ahead;
    return error;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
    note("thread");
    return real(thread, attributes, start, argument);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    char line[4096];
    FILE *table = fopen(getenv("HOSTS"), "r");
    int error = EAI_NONAME;
    *found = NULL;
    note(host);
    while (table && fgets(line, sizeof line, table)) {
        char *rest, *word = strtok_r(line, " \n", &rest);
        if (!word || strcmp(word, host))
            continue;
        struct addrinfo **end = found;
        while ((word = strtok_r(NULL, " \n", &rest))) {
            if (!strcmp(word, "fail"))
                break;
            if (strstr(word, "ms")) {
                usleep(1000 * atoi(word));
                continue;
            }
            error = real(word, service, hints, end);
            while (*end)
                end = &(*end)->ai_next;
        }
    }
    if (table)
        fclose(table);
    return *found ? 0 : error;
}
