# Files, opened beneath a directory and read in bulk, straight into their final place and without the GIL.
#
# Threads claim reads one by one from a shared cursor. A thread keeps the file that it read last open, so that many
# ranges of one file cost one open. A thread that is alone leaves a large read where its time is over, and goes on there
# the next time. Symlinks are resolved by the kernel (openat2), which lets none lead out.

cdef extern from * nogil:
    """
    #include <fcntl.h>
    #include <stdio.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #ifndef SYS_openat2
    #define SYS_openat2 437
    #endif
    #define OBJSTORE_RESOLVE 0x0a /* RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS */

    struct objstore_how { unsigned long long flags, mode, resolve; };

    static int objstore_open_beneath(int root, const char *path, int flags) {
        struct objstore_how how = {(unsigned)flags | O_CLOEXEC, 0, OBJSTORE_RESOLVE};
        return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    }

    static int objstore_rename_new(int from_folder, const char *from, int to_folder, const char *to) {
        return (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 1 /* RENAME_NOREPLACE */);
    }
    """
    int c_open_beneath "objstore_open_beneath"(int root, const char* path, int flags)
    int c_rename_new "objstore_rename_new"(int from_folder, const char* source, int to_folder, const char* target)

cdef extern from "<fcntl.h>" nogil:
    enum: O_RDONLY, O_NONBLOCK, O_NOCTTY

cdef extern from "<sys/stat.h>" nogil:
    struct file_stat "stat":
        unsigned long st_ino
        unsigned int st_mode
        int64_t st_size
        timespec st_mtim
    int fstat(int fd, file_stat* answer)
    int c_stat "stat"(const char* path, file_stat* answer)
    bint S_ISREG(unsigned int mode)

cdef enum:
    READ_AT_A_TIME = 16 << 20   # of a large file, between two looks for signals, and at the time
    LARGE_FILE = 256 << 10      # from here on a body has an arena of its own
    FIRST_SHARED = 64 << 10
    LARGEST_SHARED = 8 << 20

cdef struct FileRead:
    const char* path            # the same pointer for reads of one key in a row
    int64_t start, end          # -1 where absent, as in a Range
    char* data                  # the target, if there is one; else where the body lies in the arena
    int64_t room                # of the target; -1: memory of its own
    Arena* arena
    int64_t length              # of the body
    int64_t done                # of that, where the read was left
    uint64_t inode
    int64_t modified            # in nanoseconds since 1970
    int64_t size
    int fault                   # errno

cdef struct FileReader:         # what a thread keeps between two reads
    const char* path
    int descriptor
    int fault
    file_stat stat
    Arena* arena
    size_t next_arena


cdef int look_for_signals() except -1 with gil:
    return PyErr_CheckSignals()


cdef void reader_open(FileReader* reader, int root, const char* path) noexcept nogil:
    """Open a regular file, or keep it open."""
    if reader.path == path:
        return
    if reader.descriptor >= 0:
        close(reader.descriptor)
    reader.path = path
    reader.fault = 0
    # what is no regular file may wait for a writer, unless told not to
    reader.descriptor = c_open_beneath(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY)
    if reader.descriptor < 0 or fstat(reader.descriptor, &reader.stat) < 0:
        reader.fault = errno
    elif not S_ISREG(reader.stat.st_mode):
        reader.fault = EISDIR


cdef void reader_close(FileReader* reader) noexcept nogil:
    if reader.descriptor >= 0:
        close(reader.descriptor)
    arena_release(reader.arena)


cdef int place_range(FileRead* read) noexcept nogil:
    """Decide which bytes to read, now that the size is known: `start` and `length`; return an errno."""
    cdef int64_t start = read.start, end = read.end
    if start < 0:
        start = 0 if end < 0 else max(read.size - end, <int64_t>0)
        end = read.size
    elif start != end and start >= read.size:
        return ERANGE
    end = min(read.size if end < 0 else end, read.size)
    read.start = start
    read.length = max(end - start, <int64_t>0)
    return EMSGSIZE if 0 <= read.room < read.length else 0


cdef bint find_memory(FileReader* reader, FileRead* read) noexcept nogil:
    """Find memory for a body: small ones lie side by side."""
    if read.room >= 0 or read.length == 0:
        return True
    if read.length >= LARGE_FILE:
        read.arena = arena_new(read.length)
        read.data = read.arena.base if read.arena != NULL else NULL
        return read.arena != NULL
    if reader.arena == NULL or reader.arena.size - reader.arena.used < <size_t>read.length:
        arena_release(reader.arena)
        reader.arena = arena_new(max(reader.next_arena, <size_t>read.length))
        reader.next_arena = min(2 * reader.next_arena, <size_t>LARGEST_SHARED)
    if reader.arena == NULL:
        return False
    read.arena = arena_hold(reader.arena)
    read.data = reader.arena.base + reader.arena.used
    reader.arena.used += (read.length + 63) // 64 * 64
    return True


cdef int read_body(int descriptor, FileRead* read, int64_t until) except -1 nogil:
    """Read a body into its place, or leave it when it is so late; set the fault of the read if that fails."""
    cdef int64_t done = read.done
    cdef ssize_t got
    read.done = 0
    while done < read.length:
        got = pread(descriptor, read.data + done, min(read.length - done, <int64_t>READ_AT_A_TIME), read.start + done)
        if got < 0 and errno != EINTR:
            read.fault = errno
            return 0
        if got == 0:            # it was cut in place
            read.fault = ESTALE
            return 0
        done += max(got, <ssize_t>0)
        if done < read.length:
            read.fault = EINTR  # should that raise
            look_for_signals()
            read.fault = 0
            if done and now_ns() > until:
                read.done = done
                return 0
    return 0


cdef inline int64_t modified_at(file_stat* stat) noexcept nogil:
    return stat.st_mtim.tv_sec * SECOND + stat.st_mtim.tv_nsec


cdef inline bint is_same_file(file_stat* one, file_stat* other) noexcept nogil:
    """Tell whether a file is what it was: others may write to it in place, or put another in its place."""
    return (
        one.st_ino == other.st_ino and one.st_size == other.st_size and modified_at(one) == modified_at(other)
    )


cdef bint is_unchanged(FileReader* reader) noexcept nogil:
    """Tell whether a file that is open is what it was when it was opened."""
    cdef file_stat now
    return fstat(reader.descriptor, &now) == 0 and is_same_file(&now, &reader.stat)


cdef void begin_read(FileReader* reader, FileRead* read) noexcept nogil:
    """Find out what to read, and where to."""
    read.inode = reader.stat.st_ino
    read.modified = modified_at(&reader.stat)
    read.size = reader.stat.st_size
    read.fault = place_range(read)
    if read.fault == 0 and not find_memory(reader, read):
        read.fault = ENOMEM


cdef bint is_still(FileRead* read, file_stat* stat) noexcept nogil:
    """Tell whether a file is the one, as it was, of which a read has been left."""
    return read.inode == stat.st_ino and read.modified == modified_at(stat) and read.size == stat.st_size


cdef int read_with(FileReader* reader, FileRead* read, int64_t until) except -1 nogil:
    """Do one read with the file that is open, or go on with it, until it is so late."""
    read.fault = reader.fault
    if read.fault:
        return 0
    if read.done == 0:
        begin_read(reader, read)
    elif not is_still(read, &reader.stat):
        read.fault = ESTALE
    if read.fault == 0:
        read_body(reader.descriptor, read, until)
    if read.fault == 0 and read.length and not is_unchanged(reader):
        read.fault = ESTALE
    return 0


cdef class FileReads:
    """Many reads of files beneath a directory, by as many threads as call `work`.

    A read that ends badly has an errno: ERANGE where the range begins after the end, EMSGSIZE where the body does not
    fit in its target, ESTALE where the file was changed in place meanwhile, EISDIR where it is no regular file.
    """
    cdef FileRead* reads
    cdef Py_ssize_t count, capacity
    cdef int64_t claimed
    cdef int64_t received
    cdef list paths
    cdef dict targets

    def __cinit__(self):
        self.paths = []
        self.targets = {}

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            arena_release(self.reads[i].arena)
        free(self.reads)

    def __len__(self):
        return self.count

    def add(self, bytes path not None, int64_t start=-1, int64_t end=-1, Buffer out=None, Py_ssize_t out_start=0,
            int64_t out_length=-1):
        """Add a read; `start` and `end` as in a Range, and an empty range only looks at the file."""
        cdef FileRead* read = <FileRead*>room(<void**>&self.reads, self.count, &self.capacity, sizeof(FileRead))
        if read == NULL:
            raise MemoryError
        if not self.paths or self.paths[len(self.paths) - 1] is not path:
            self.paths.append(path)
        read.path = PyBytes_AS_STRING(path)
        read.start, read.end, read.room = start, end, -1
        if out is not None:
            if not 0 <= out_start <= out_start + out_length <= out.view.len:
                raise ValueError(f"no {out_length} bytes from {out_start} on in a buffer of {out.view.len}")
            self.targets[self.count] = out
            read.data = <char*>out.view.buf + out_start
            read.room = out_length
        self.count += 1

    @property
    def settled(self):
        """How many reads have been done; those before it are, once no thread is at work."""
        return min(<Py_ssize_t>atomic_load_64(&self.claimed), self.count)

    @property
    def bytes_received(self):
        """How many bytes have been read."""
        return atomic_load_64(&self.received)

    def work(self, int root, int64_t most, double seconds, bint alone=False):
        """Read until all is claimed, `most` bytes have been received in all, or the time is over.

        :param alone: no other thread is at work, now or later: what is being read when the time is over is left, and
            the next call goes on with it.
        """
        cdef FileReader reader
        cdef FileRead* read
        cdef int64_t index, until = now_ns() + <int64_t>(seconds * SECOND)
        memset(&reader, 0, sizeof(reader))
        reader.descriptor = -1
        reader.next_arena = 1 if self.count == 1 else FIRST_SHARED
        with nogil:
            try:
                while atomic_load_64(&self.claimed) < self.count and atomic_load_64(&self.received) < most:
                    index = atomic_add_64(&self.claimed, 1) - 1
                    if index >= self.count:
                        break
                    read = &self.reads[index]
                    reader_open(&reader, root, read.path)
                    read_with(&reader, read, until if alone else INT64_MAX)
                    if read.fault == 0 and read.done:
                        atomic_add_64(&self.claimed, -1)
                        break
                    atomic_add_64(&self.received, 0 if read.fault else read.length)
                    if now_ns() > until:
                        break
            finally:
                reader_close(&reader)

    def work_on(self, Py_ssize_t index, int descriptor):
        """Do a read again that `work` could not, with a file opened by other means."""
        cdef FileReader reader
        cdef FileRead* read = self._read(index)
        memset(&reader, 0, sizeof(reader))
        reader.next_arena = 1
        with nogil:
            reader.descriptor = descriptor
            if fstat(descriptor, &reader.stat) < 0:
                reader.fault = errno
            elif not S_ISREG(reader.stat.st_mode):
                reader.fault = EISDIR
            try:
                read_with(&reader, read, INT64_MAX)
            finally:
                arena_release(reader.arena)
            atomic_add_64(&self.received, 0 if read.fault else read.length)

    cdef FileRead* _read(self, Py_ssize_t index) except NULL:
        if not 0 <= index < self.count:
            raise IndexError(f"there is no read {index}")
        return &self.reads[index]

    def failures(self, Py_ssize_t start, Py_ssize_t stop):
        """Return the index and the errno of each read from `start` to `stop` that ended badly."""
        cdef Py_ssize_t i
        return [(i, self.reads[i].fault) for i in range(max(start, 0), min(stop, self.count)) if self.reads[i].fault]

    def stat(self, Py_ssize_t index):
        """Return the inode, the time of the last change in nanoseconds, and the size of the file of a read."""
        cdef FileRead* read = self._read(index)
        return read.inode, read.modified, read.size

    @property
    def mixed(self):
        """Whether two reads of one key in a row were of different files, or of one that changed."""
        cdef FileRead* a
        cdef FileRead* b
        cdef Py_ssize_t i
        for i in range(1, <Py_ssize_t>self.settled):
            a, b = &self.reads[i - 1], &self.reads[i]
            if a.path == b.path and not a.fault and not b.fault and (
                a.inode != b.inode or a.modified != b.modified or a.size != b.size
            ):
                return True
        return False

    cdef object _body(self, Py_ssize_t index, FileRead* read):
        if read.room < 0:
            return bytes_over(None, read.arena, read.data, read.length)
        return bytes_over(self.targets[index], NULL, read.data, read.length)

    def bodies(self):
        """Return all bodies in order, None for the reads that ended badly or have not been done."""
        cdef Py_ssize_t i
        cdef list out = [None] * self.count
        for i in range(<Py_ssize_t>self.settled):
            if self.reads[i].fault == 0:
                out[i] = self._body(i, &self.reads[i])
        return out

    def take(self, Py_ssize_t index):
        """Return the body of a read, and let go of it."""
        cdef FileRead* read = self._read(index)
        cdef Bytes body = self._body(index, read)
        arena_release(read.arena)
        read.arena = NULL
        read.data = NULL
        read.length = 0
        self.targets.pop(index, None)
        return body


def open_beneath(int root, bytes path not None, int flags):
    """Open a file or folder that is beneath a directory, with all symlinks on the way (openat2, RESOLVE_BENEATH).

    :raises OSError: EXDEV where a symlink is absolute or leads out, ENOSYS or EPERM where there is no openat2.
    """
    cdef const char* name = path
    cdef int descriptor
    with nogil:
        descriptor = c_open_beneath(root, name, flags)
    if descriptor < 0:
        raise OSError(errno, os.strerror(errno), os.fsdecode(path))
    return descriptor


def rename_new(int from_folder, bytes source not None, int to_folder, bytes target not None):
    """Rename a file to a name that is free (renameat2, RENAME_NOREPLACE).

    :raises OSError: EEXIST where it is not free, EINVAL or ENOSYS where the file system cannot tell.
    """
    cdef const char* old = source
    cdef const char* new = target
    cdef int outcome
    with nogil:
        outcome = c_rename_new(from_folder, old, to_folder, new)
    if outcome < 0:
        raise OSError(errno, os.strerror(errno), os.fsdecode(source), None, os.fsdecode(target))
