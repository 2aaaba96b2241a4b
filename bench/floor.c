/* The floor: the same requests from raw epoll sockets in C, one thread, no library in between.
 *
 *   floor many  PORT CONNECTIONS WARM FILE   each line of FILE "PATH START END" is a GET (END 0: no Range); the first WARM
 *                                            of them open the connections, outside the clock
 *   floor whole PORT PATH BYTES              one GET, received straight into fresh huge pages
 *   floor put   PORT PATH BYTES              one PUT of BYTES from memory
 *
 * Checks status and length of every answer. Prints {"wall": s, "cpu": s, "bytes": n}.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536, EVENTS = 256, TARGET_BYTES = 256 };

struct ask { char target[TARGET_BYTES]; uint64_t start, end; };
struct conn { int fd; size_t used; int64_t body_left; };

static struct ask *asks;
static size_t asked, finished, total, limit;
static uint64_t body_bytes;
static char buffer[BUFFER_BYTES];

static void die(const char *why) {
    fprintf(stderr, "floor: %s: %s\n", why, strerror(errno));
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void report(double wall_start, double cpu_start) {
    printf("{\"wall\": %.6f, \"cpu\": %.6f, \"bytes\": %lu}\n", seconds(CLOCK_MONOTONIC) - wall_start,
           cpu_seconds() - cpu_start, body_bytes);
}

static int dial(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t n) {
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) die("send");
        bytes += sent, n -= (size_t)sent;
    }
}

/* Body length by the head in text, which ends at a blank line; what is not 200 or 206 is fatal. */
static int64_t body_length(const char *text) {
    const char *length = strcasestr(text, "\r\nContent-Length:");
    if (strncmp(text, "HTTP/1.1 20", 11) || !length) errno = EPROTO, die(text);
    return strtoll(length + 17, NULL, 10);
}

static void ask_next(struct conn *c) {
    char text[TARGET_BYTES + 256], range[64] = "";
    if (asked == limit) return;
    struct ask *a = &asks[asked++];
    if (a->end) snprintf(range, sizeof range, "Range: bytes=%lu-%lu\r\n", a->start, a->end - 1);
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", a->target, range);
    c->used = 0, c->body_left = -1;
    send_all(c->fd, text, (size_t)n);
}

static void take(struct conn *c) {
    if (c->body_left < 0) { /* head, and most often the whole body with it */
        char head[4096];
        ssize_t n = recv(c->fd, head, sizeof head - 1, 0);
        if (n <= 0) die("recv");
        head[n] = 0;
        char *end = strstr(head, "\r\n\r\n");
        if (!end) die("a head in pieces");
        c->body_left = body_length(head);
        body_bytes += (uint64_t)c->body_left;
        c->body_left -= n - (end + 4 - head);
    } else {
        ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
        if (n <= 0) die("recv");
        c->body_left -= n;
    }
    if (c->body_left == 0) finished++, ask_next(c);
}

static void drive(int poller, struct conn *conns, size_t connections, size_t until) {
    struct epoll_event events[EVENTS];
    limit = until;
    for (size_t i = 0; i < connections; i++) ask_next(&conns[i]);
    while (finished < until) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) take(events[i].data.ptr);
    }
}

static void read_asks(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) die(path);
    asks = malloc(sizeof *asks << 20);
    for (struct ask *a = asks; fscanf(file, "%255s %lu %lu", a->target, &a->start, &a->end) == 3; a++) total++;
    fclose(file);
}

static void many(int port, size_t connections, size_t warm) {
    struct conn *conns = calloc(connections, sizeof *conns);
    int poller = epoll_create1(0);
    for (size_t i = 0; i < connections; i++) {
        conns[i].fd = dial(port);
        epoll_ctl(poller, EPOLL_CTL_ADD, conns[i].fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = &conns[i]});
    }
    drive(poller, conns, connections, warm);
    body_bytes = 0;
    double wall = seconds(CLOCK_MONOTONIC), cpu = cpu_seconds();
    drive(poller, conns, connections, total);
    report(wall, cpu);
}

static char *huge_pages(size_t bytes) {
    char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) die("mmap");
    madvise(pages, bytes, MADV_HUGEPAGE);
    return pages;
}

/* Have the host of a virtual machine back this memory now, then give it back: what comes next is fresh, but there. */
static void touch_memory(size_t bytes) {
    char *pages = huge_pages(bytes);
    memset(pages, 1, bytes);
    munmap(pages, bytes);
}

static void whole(int port, const char *target, size_t bytes) {
    char text[4096];
    int fd = dial(port), n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", target);
    touch_memory(bytes + (bytes >> 2));
    double wall = seconds(CLOCK_MONOTONIC), cpu = cpu_seconds();
    char *pages = huge_pages(bytes + sizeof text), *head_end;
    send_all(fd, text, (size_t)n);
    ssize_t got = recv(fd, text, sizeof text - 1, 0);
    if (got <= 0) die("recv");
    text[got] = 0;
    if (!(head_end = strstr(text, "\r\n\r\n")) || body_length(text) != (int64_t)bytes) die("not the length asked for");
    memcpy(pages, head_end + 4, body_bytes = (uint64_t)(got - (head_end + 4 - text)));
    while (body_bytes < bytes) {
        got = recv(fd, pages + body_bytes, bytes - body_bytes, 0);
        if (got <= 0) die("recv");
        body_bytes += (uint64_t)got;
    }
    report(wall, cpu);
}

static void put(int port, const char *target, size_t bytes) {
    char text[512], *pages = huge_pages(bytes);
    int fd = dial(port), n = snprintf(text, sizeof text, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n", target, bytes);
    memset(pages, 7, bytes);
    double wall = seconds(CLOCK_MONOTONIC), cpu = cpu_seconds();
    send_all(fd, text, (size_t)n);
    send_all(fd, pages, body_bytes = bytes);
    if (recv(fd, text, sizeof text, 0) <= 0 || strncmp(text, "HTTP/1.1 200", 12)) die("PUT refused");
    report(wall, cpu);
}

int main(int argc, char **argv) {
    if (argc < 5) return fprintf(stderr, "usage: floor many PORT CONNECTIONS WARM FILE | whole PORT PATH BYTES | put PORT PATH BYTES\n"), 2;
    int port = atoi(argv[2]);
    if (!strcmp(argv[1], "many") && argc == 6) {
        read_asks(argv[5]);
        many(port, strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
    } else if (!strcmp(argv[1], "whole")) whole(port, argv[3], strtoull(argv[4], NULL, 10));
    else put(port, argv[3], strtoull(argv[4], NULL, 10));
    return 0;
}
