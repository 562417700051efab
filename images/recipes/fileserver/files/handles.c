/*
 * Lets nfs-ganesha find files again in an instance, which is a user namespace of its own: there the kernel (6.11 or later) opens by
 * handle folders only, and answers EPERM for all else. So handles of files name their folder too, and a file is looked for in its
 * folder by its number. A file that was moved to another folder has another handle: clients that kept the old one open it again.
 * For btrfs, which all shares are on, and for the one program and version that it is loaded into.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel makes it: number (8 bytes), root (8), generation (4); then those of the folder: number (8), generation (4), root (8). */
struct handle {
  unsigned bytes;
  int type;
  unsigned char body[40];
};
enum { ALONE = 77, WITH_PARENT = 78, WITH_PARENT_ROOT = 79, ALONE_BYTES = 20, CONNECTABLE = 2, NOBODY = 65534 };

static long call(long number, long a, long b, long c, long d, long e, long f) {
  static long (*real)(long, ...);
  if (real == NULL) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  return real(number, a, b, c, d, e, f);
}

/* The device that a mount's own root shows; 0 where it is not known. */
static dev_t device_of(int mount) {
  static struct {
    int mount;
    dev_t device;
  } known[256];
  static int count;
  for (int i = 0; i < count; i++)
    if (known[i].mount == mount) return known[i].device;
  FILE *table = fopen("/proc/self/mountinfo", "r");
  char line[8192], path[4096];
  int id;
  dev_t device = 0;
  while (table != NULL && device == 0 && fgets(line, sizeof line, table) != NULL) {
    struct stat is;
    if (sscanf(line, "%d %*s %*s %*s %4095s", &id, path) == 2 && id == mount &&
        call(SYS_newfstatat, AT_FDCWD, (long)path, (long)&is, 0, 0, 0) == 0)
      device = is.st_dev;
  }
  if (table != NULL) fclose(table);
  if (device != 0 && count < 256) {
    known[count].device = device;
    known[count].mount = mount;
    count++;
  }
  return device;
}

/* Its parts would look past us for what they call. */
void *dlopen(const char *file, int flags) {
  void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
  return real(file, flags & ~RTLD_DEEPBIND);
}

/* Whoever has a number that there is not in this namespace is nobody: nfs-ganesha would go on as root. */
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  long done = call(number, a, b, c, d, e, f);
  if (done >= 0 || errno != EINVAL) return done;
  if (number == SYS_setresuid || number == SYS_setresgid) return call(number, -1, NOBODY, -1, 0, 0, 0);
  if (number == SYS_setgroups) return call(number, 0, 0, 0, 0, 0, 0);
  return done;
}

int name_to_handle_at(int at, const char *path, struct file_handle *handle, int *mount, int flags) {
  unsigned room = handle->handle_bytes;
  long done = call(SYS_name_to_handle_at, at, (long)path, (long)handle, (long)mount, flags | CONNECTABLE, 0);
  if (done < 0 && errno == EINVAL) {
    handle->handle_bytes = room;
    done = call(SYS_name_to_handle_at, at, (long)path, (long)handle, (long)mount, flags, 0);
  }
  if (done == 0) handle->handle_type &= 0xff;
  return (int)done;
}

int open_by_handle_at(int mount, struct file_handle *handle, int flags) {
  struct handle wanted = {ALONE_BYTES, ALONE, {0}};
  if (handle->handle_type < ALONE || handle->handle_type > WITH_PARENT_ROOT || handle->handle_bytes > sizeof wanted.body)
    return (int)call(SYS_open_by_handle_at, mount, (long)handle, flags, 0, 0, 0);
  unsigned char *body = handle->f_handle;
  memcpy(wanted.body, body, ALONE_BYTES);
  if (handle->handle_type == ALONE)
    return (int)call(SYS_open_by_handle_at, mount, (long)&wanted, flags | O_DIRECTORY, 0, 0, 0);
  uint64_t number;
  memcpy(&number, body, 8);
  memcpy(wanted.body, body + 20, 8);
  memcpy(wanted.body + 16, body + 28, 4);
  if (handle->handle_type == WITH_PARENT_ROOT) memcpy(wanted.body + 8, body + 32, 8);
  int parent = (int)call(SYS_open_by_handle_at, mount, (long)&wanted, O_RDONLY | O_DIRECTORY, 0, 0, 0);
  if (parent < 0) return -1;
  DIR *folder = fdopendir(parent);
  if (folder == NULL) {
    close(parent);
    return -1;
  }
  int found = -1, why = ESTALE;
  struct dirent *entry;
  while (found < 0 && (entry = readdir(folder)) != NULL) {
    /* Of a folder with a room of its own, the one above has a number of another count. */
    if (entry->d_ino != number || entry->d_type == DT_DIR) continue;
    found = openat(parent, entry->d_name, flags | O_NOFOLLOW | O_NONBLOCK);
    why = errno;
    struct stat is;
    if (found >= 0 && (call(SYS_fstat, found, (long)&is, 0, 0, 0, 0) != 0 || is.st_ino != number)) {
      close(found);
      found = -1;
      why = ESTALE;
    }
  }
  closedir(folder);
  errno = why;
  return found;
}

/*
 * A folder with a room of its own is a subvolume, which shows another device than the mount that it is in: nfs-ganesha would take it
 * for a file system that it does not know. It is shown as one with its mount, and its numbers as others than those of the share's root.
 */
static int as_one(int at, const char *path, struct stat64 *is, int flags) {
  struct handle handle = {sizeof handle.body, 0, {0}};
  int mount;
  uint64_t root;
  if (call(SYS_name_to_handle_at, at, (long)path, (long)&handle, (long)&mount, flags & AT_EMPTY_PATH, 0) != 0) return 0;
  if (handle.type < ALONE || handle.type > WITH_PARENT_ROOT) return 0;
  dev_t device = device_of(mount);
  if (device == 0 || device == is->st_dev) return 0;
  memcpy(&root, handle.body + 8, 8);
  is->st_dev = device;
  is->st_ino |= root << 40;
  return 0;
}

int fstat64(int fd, struct stat64 *is) {
  if (call(SYS_fstat, fd, (long)is, 0, 0, 0, 0) != 0) return -1;
  return as_one(fd, "", is, AT_EMPTY_PATH);
}

int fstatat64(int at, const char *path, struct stat64 *is, int flags) {
  if (call(SYS_newfstatat, at, (long)path, (long)is, flags, 0, 0) != 0) return -1;
  return as_one(at, path, is, flags);
}
