// line END END DELAY_MS MBIT LOSS_PPM: what goes into one TUN device comes out of the other, DELAY_MS later, at so many
// Mbit/s behind a queue of 200 ms, so many packets of a million lost. The devices are open descriptors, each in a network
// namespace of its own, so real TCP runs between the two: kernels without netem offer nothing else.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 16, PACKET = (1 << 16) + 64, AT_ONCE = 64 };
static const int64_t SECOND = 1000000000, MOST_QUEUED = 200000000;

typedef struct { int64_t due; size_t size; unsigned char *bytes; } Packet;
typedef struct {
    int from, to;
    int64_t delay;
    double ns_a_byte;
    unsigned loss, seed;
    int64_t free_at;        // when the line has sent all that is queued
    Packet ring[SLOTS];
    unsigned first, end;
} Way;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void deliver(Way *way) {
    for (int64_t time = now(); way->first != way->end; way->first++) {
        Packet *packet = &way->ring[way->first % SLOTS];
        if (packet->due > time) return;
        if (write(way->to, packet->bytes, packet->size) < 0) {}     // a full device drops, as any does
        free(packet->bytes);
    }
}

static void queue(Way *way, const unsigned char *bytes, size_t size) {
    int64_t time = now(), start = way->free_at > time ? way->free_at : time;
    int lost = (unsigned)rand_r(&way->seed) % 1000000u < way->loss;
    if (lost || start - time > MOST_QUEUED || way->end - way->first == SLOTS) return;
    way->free_at = start + (int64_t)(size * way->ns_a_byte);
    Packet packet = {way->free_at + way->delay, size, malloc(size)};
    memcpy(packet.bytes, bytes, size);
    way->ring[way->end++ % SLOTS] = packet;
}

static void wait_for_more(Way *way) {
    struct timespec most = {1, 0};
    if (way->first != way->end) {
        int64_t left = way->ring[way->first % SLOTS].due - now();
        left = left > 0 ? left : 0;
        most = (struct timespec){left / SECOND, left % SECOND};
    }
    struct pollfd from = {way->from, POLLIN, 0};
    ppoll(&from, 1, &most, NULL);
}

static void *carry(void *given) {
    Way *way = given;
    unsigned char bytes[PACKET];
    while (1) {
        deliver(way);
        wait_for_more(way);
        for (int count = 0; count < AT_ONCE; count++) {
            ssize_t size = read(way->from, bytes, sizeof bytes);
            if (size <= 0) {
                if (size < 0 && errno != EAGAIN && errno != EINTR) exit(1);
                break;
            }
            queue(way, bytes, (size_t)size);
        }
    }
}

int main(int count, char **given) {
    if (count != 6) return 2;
    static Way ways[2];
    for (unsigned index = 0; index < 2; index++) {
        Way *way = &ways[index];
        way->from = atoi(given[1 + index]);
        way->to = atoi(given[2 - index]);
        way->delay = (int64_t)(atof(given[3]) * 1e6);
        way->ns_a_byte = 8000.0 / atof(given[4]);
        way->loss = (unsigned)atoi(given[5]);
        way->seed = index + 1;
    }
    pthread_t other;
    pthread_create(&other, NULL, carry, &ways[0]);
    carry(&ways[1]);
}
