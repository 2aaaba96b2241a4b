/* A stand-in origin for the two things nginx cannot play. One thread, one epoll, keep-alive HTTP/1.1.
 *
 *   GET, HEAD        1 KiB, after a delay uniform in [MIN_MS, MAX_MS), thousands of connections at once
 *   PUT              the body is swallowed, inside the kernel where nobody wants its sum
 *   POST ?uploads    InitiateMultipartUploadResult; POST ?uploadId= CompleteMultipartUploadResult; DELETE 204
 *   GET /stats       what was answered so far, as JSON
 *
 * usage: origin LISTENING_FD MIN_MS MAX_MS swallow|sum
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 16384, BODY_BYTES = 1024, SUM_BYTES = 1 << 18, EVENTS = 512, SLOTS = 8192 };
static const uint64_t TICK_NS = 250000; /* SLOTS ticks of a quarter millisecond: delays up to two seconds */

struct conn {
    int fd, waiting, head_only;
    size_t used;
    uint64_t body_left, arrived_ns;
    char method, *target;
    struct conn *next;
    char head[HEAD_BYTES + 1];
};

static int poller, sum_bodies;
static uint64_t min_ns, max_ns, now_ns, tick, waiting;
static uint64_t reads, writes, posts, body_bytes, body_sum, delayed_ns;
static struct conn *wheel[SLOTS];
static unsigned char body[BODY_BYTES], scratch[SUM_BYTES];

static void read_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    now_ns = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_delay(void) {
    static uint64_t x = 88172645463325252u;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return max_ns > min_ns ? min_ns + x % (max_ns - min_ns) : min_ns;
}

static void drop(struct conn *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    if (!c->waiting) free(c); /* else the wheel frees it when its turn comes */
}

static void send_all(struct conn *c, const char *head, size_t head_bytes, const void *tail, size_t tail_bytes) {
    char out[HEAD_BYTES];
    memcpy(out, head, head_bytes);
    if (tail_bytes) memcpy(out + head_bytes, tail, tail_bytes);
    ssize_t n = send(c->fd, out, head_bytes + tail_bytes, MSG_NOSIGNAL);
    if (n != (ssize_t)(head_bytes + tail_bytes)) shutdown(c->fd, SHUT_RDWR); /* the next read finds it closed */
}

static void answer(struct conn *c, const char *status, const char *headers, const void *tail, size_t tail_bytes) {
    char head[1024];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\nServer: origin\r\nDate: Sun, 01 Nov 2026 00:00:00 GMT\r\n%sContent-Length: %zu\r\n\r\n",
                     status, headers, tail_bytes);
    send_all(c, head, (size_t)n, tail, c->head_only ? 0 : tail_bytes);
}

static void answer_get(struct conn *c) {
    reads++, delayed_ns += now_ns - c->arrived_ns;
    answer(c, "200 OK",
           "Content-Type: application/octet-stream\r\nETag: \"5eb63bbbe01eeed0\"\r\n"
           "Last-Modified: Sun, 01 Nov 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n",
           body, BODY_BYTES);
}

static void answer_stats(struct conn *c) {
    char out[512];
    int n = snprintf(out, sizeof out,
                     "{\"reads\": %lu, \"writes\": %lu, \"posts\": %lu, \"body_bytes\": %lu, \"body_sum\": %lu, \"mean_delay_us\": %.1f}",
                     reads, writes, posts, body_bytes, body_sum, reads ? (double)delayed_ns / (double)reads / 1e3 : 0.0);
    answer(c, "200 OK", "Content-Type: application/json\r\n", out, (size_t)n);
}

static void answer_post(struct conn *c) {
    static const char initiate[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InitiateMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Bucket>bench</Bucket><Key>upload</Key><UploadId>upload-1</UploadId></InitiateMultipartUploadResult>";
    static const char complete[] =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><CompleteMultipartUploadResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Bucket>bench</Bucket><Key>upload</Key><ETag>\"5eb63bbbe01eeed0-1\"</ETag></CompleteMultipartUploadResult>";
    const char *xml = strcasestr(c->target, "uploadId=") ? complete : initiate;
    posts++;
    answer(c, "200 OK", "Content-Type: application/xml\r\n", xml, strlen(xml));
}

static void wait_for_turn(struct conn *c) {
    uint64_t turn = (now_ns + random_delay() + TICK_NS / 2) / TICK_NS; /* to the nearest tick: the mean stays true */
    if (turn <= tick) turn = tick + 1;
    c->arrived_ns = now_ns, c->waiting = 1, waiting++;
    c->next = wheel[turn % SLOTS], wheel[turn % SLOTS] = c;
}

static void respond(struct conn *c) {
    c->used = 0;
    switch (c->method) {
    case 'G':
    case 'H':
        if (!strncmp(c->target, "/stats", 6)) answer_stats(c);
        else if (max_ns) wait_for_turn(c);
        else c->arrived_ns = now_ns, answer_get(c);
        break;
    case 'P': writes++, answer(c, "200 OK", "ETag: \"5eb63bbbe01eeed0\"\r\n", NULL, 0); break;
    case 'p': answer_post(c); break;
    default: answer(c, "204 No Content", "", NULL, 0);
    }
}

static void take_body(struct conn *c, const unsigned char *bytes, uint64_t n) {
    c->body_left -= n;
    if (c->method != 'P') return;
    body_bytes += n;
    if (sum_bodies)
        for (uint64_t i = 0; i < n; i++) body_sum += bytes[i];
}

static const char *header(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    return found ? found + strlen(name) : NULL;
}

/* A whole head is in c->head, up to end: note what is asked, keep the start of the body that came along. */
static void take_head(struct conn *c, char *end) {
    size_t extra = c->used - (size_t)(end - c->head);
    end[-1] = 0;
    const char *length = header(c->head, "\r\nContent-Length:");
    int expects = header(c->head, "\r\nExpect: 100-continue") != NULL;
    c->target = strchr(c->head, ' ');
    if (!c->target) { drop(c); return; }
    c->target++;
    c->target[strcspn(c->target, " ")] = 0;
    c->method = !strncmp(c->head, "POST", 4) ? 'p' : c->head[0];
    c->head_only = c->method == 'H';
    c->body_left = length ? strtoull(length, NULL, 10) : 0;
    if (expects) send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0);
    take_body(c, (unsigned char *)end, extra < c->body_left ? extra : c->body_left);
    if (!c->body_left) respond(c);
}

static ssize_t receive(struct conn *c) {
    if (!c->body_left) return recv(c->fd, c->head + c->used, HEAD_BYTES - c->used, 0);
    if (sum_bodies) return recv(c->fd, scratch, c->body_left < SUM_BYTES ? c->body_left : SUM_BYTES, 0);
    return recv(c->fd, NULL, c->body_left < (1u << 30) ? c->body_left : 1u << 30, MSG_TRUNC);
}

static void on_readable(struct conn *c) {
    ssize_t n = receive(c);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { drop(c); return; }
    if (c->body_left) {
        take_body(c, scratch, (uint64_t)n);
        if (!c->body_left) respond(c);
        return;
    }
    c->used += (size_t)n;
    c->head[c->used] = 0;
    char *end = strstr(c->head, "\r\n\r\n");
    if (end) take_head(c, end + 4);
    else if (c->used == HEAD_BYTES) drop(c);
}

static void on_new(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void answer_the_due(void) {
    for (uint64_t today = now_ns / TICK_NS; tick < today;) {
        struct conn *c = wheel[++tick % SLOTS], *next;
        wheel[tick % SLOTS] = NULL;
        for (; c; c = next) {
            next = c->next;
            c->waiting = 0, waiting--;
            if (c->fd < 0) free(c);
            else answer_get(c);
        }
    }
}

static int wait_events(struct epoll_event *events) {
    uint64_t left = (tick + 1) * TICK_NS > now_ns ? (tick + 1) * TICK_NS - now_ns : 0;
    struct timespec until = {0, (long)left};
    int n = epoll_pwait2(poller, events, EVENTS, waiting ? &until : NULL, NULL);
    read_clock();
    return n;
}

int main(int argc, char **argv) {
    if (argc != 5) return fprintf(stderr, "usage: origin LISTENING_FD MIN_MS MAX_MS swallow|sum\n"), 2;
    int listener = atoi(argv[1]);
    min_ns = strtoull(argv[2], NULL, 10) * 1000000, max_ns = strtoull(argv[3], NULL, 10) * 1000000;
    sum_bodies = !strcmp(argv[4], "sum");
    for (int i = 0; i < BODY_BYTES; i++) body[i] = (unsigned char)(i * 7);
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});
    read_clock();
    tick = now_ns / TICK_NS;
    for (struct epoll_event events[EVENTS];;) {
        int n = wait_events(events);
        for (int i = 0; i < n; i++)
            if (events[i].data.ptr) on_readable(events[i].data.ptr);
            else on_new(listener);
        answer_the_due();
    }
}
