/* Preloaded into a process, makes one system call on files below a folder fail, or all from one on, or kills at it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define SHORT -1
#define KILL -2

static char below[4096];
static size_t length;
static const char *name, *pattern;
static long number;
static int blow, lasting, report = -1;
static atomic_long calls, struck;

/* What a call does, as far as decides which errors it can have */
enum { READS = 1, MAKES = 2, WRITES = 4 };

/* Of the calls named so on paths below `folder` that match, `at` is the number of the one to be struck, from 1 on;
   0: none, but all are reported. `what`: an errno, SHORT or KILL. `all`: later calls on any path fail too. */
void injector_arm(const char *folder, const char *call, const char *path, long at, int what, int all, const char *file) {
    report = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    name = strdup(call), pattern = strdup(path), number = at, blow = what, lasting = all;
    strncpy(below, folder, sizeof below - 1);
    length = strlen(below);
}

static int possible(int kind) {
    switch (blow) {
    case SHORT: return kind == WRITES;
    case ENOSPC: case EDQUOT: return kind != READS;
    case EMFILE: return 0;  /* of open alone, see there */
    case EACCES: return kind != WRITES;
    default: return 1;
    }
}

/* Whether this call is to fail: 0 or what is to happen. */
static int strike(const char *call, const char *path, int kind, int opens) {
    if (!length || strncmp(path, below, length)) return 0;
    if (!number) dprintf(report, "%s %s\n", call, path + length);
    if (!number || !(possible(kind) || (blow == EMFILE && opens))) return 0;
    if (struck) {
        if (!lasting) return 0;
    } else if (strcmp(call, name) || fnmatch(pattern, path + length, 0) || ++calls < number) {
        return 0;
    } else if (!struck++) {
        dprintf(report, "%s %s\n", call, path + length);
    }
    if (blow == KILL) raise(SIGKILL);
    errno = blow;
    return blow;
}

static const char *place(int folder, const char *path, char *room) {
    if (path[0] == '/') return path;
    char link[64];
    if (folder == AT_FDCWD) strcpy(link, "/proc/self/cwd");
    else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, room, 4000);
    if (size < 0) return "";
    snprintf(room + size, 8000 - size, "%s%s", *path ? "/" : "", path);
    return room;
}

#define ROOM char room[8192]
#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define MODE mode_t mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { \
    va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
#define KIND(flags) ((flags) & O_CREAT ? MAKES : READS)

#define OPEN(name) int name(const char *path, int flags, ...) { \
    NEXT(name); MODE; ROOM; \
    if (length && strike("open", place(AT_FDCWD, path, room), KIND(flags), 1)) return -1; \
    return next(path, flags, mode); }
OPEN(open) OPEN(open64)

#define OPENAT(name) int name(int folder, const char *path, int flags, ...) { \
    NEXT(name); MODE; ROOM; \
    if (length && strike("openat", place(folder, path, room), KIND(flags), 1)) return -1; \
    return next(folder, path, flags, mode); }
OPENAT(openat) OPENAT(openat64)

ssize_t write(int file, const void *content, size_t size) {
    NEXT(write); ROOM;
    int what = length && size > 1 ? strike("write", place(file, "", room), WRITES, 0) : 0;
    return what == SHORT ? next(file, content, size / 2) : what ? -1 : next(file, content, size);
}

#define PWRITE(name) ssize_t name(int file, const void *content, size_t size, off_t where) { \
    NEXT(name); ROOM; \
    int what = length && size > 1 ? strike("pwrite", place(file, "", room), WRITES, 0) : 0; \
    return what == SHORT ? next(file, content, size / 2, where) : what ? -1 : next(file, content, size, where); }
PWRITE(pwrite) PWRITE(pwrite64)

#define ON_FILE(name, kind, arguments, values) int name arguments { \
    NEXT(name); ROOM; \
    if (length && strike(#name, place(file, "", room), kind, 0)) return -1; \
    return next values; }
ON_FILE(fsync, WRITES, (int file), (file))
ON_FILE(ftruncate, WRITES, (int file, off_t size), (file, size))
ON_FILE(ftruncate64, WRITES, (int file, off_t size), (file, size))

#define ON_PATH(name, folder, path, kind, arguments, values) int name arguments { \
    NEXT(name); ROOM; \
    if (length && strike(#name, place(folder, path, room), kind, 0)) return -1; \
    return next values; }
ON_PATH(rename, AT_FDCWD, to, MAKES, (const char *from, const char *to), (from, to))
ON_PATH(renameat, there, to, MAKES, (int here, const char *from, int there, const char *to), (here, from, there, to))
ON_PATH(mkdir, AT_FDCWD, path, MAKES, (const char *path, mode_t mode), (path, mode))
ON_PATH(unlink, AT_FDCWD, path, READS, (const char *path), (path))
ON_PATH(unlinkat, folder, path, READS, (int folder, const char *path, int flags), (folder, path, flags))
