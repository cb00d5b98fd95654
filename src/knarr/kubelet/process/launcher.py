"""Runs in a container's process before its command does: namespaces, mounts, limits, user; then exec.

A script of its own, started as `python -I -S launcher.py SPEC ERRORS`: it imports nothing of knarr and little of
anything, because each container and each exec waits for it. SPEC is a file with JSON (removed once read), ERRORS the
number of a pipe on which a failure is told; it closes by itself when the command is there.

SPEC: argv, env, cwd, umask; namespaces ("mount": mount and UTS namespace, "user": those in a user namespace, "":
none); hostname; uid, gid, groups (None: keep); inner (uid, gid as seen inside a user namespace); limits [[name, value]];
cgroup (a cgroup.procs file); root (an empty directory that becomes /); mounts [[source, target, read only]];
join (a process whose namespaces are entered instead); tty (stdin becomes the controlling terminal).
"""

import ctypes
import json
import os
import signal
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWUTS = 0x00020000, 0x10000000, 0x04000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC, MS_PRIVATE, MS_RELATIME = (
    1024,
    2048,
    4096,
    16384,
    1 << 18,
    1 << 21,
)
TIOCSCTTY = 0x540E
#: what a container finds in /dev where it is made anew
DEVICES = frozenset(
    [
        "null",
        "zero",
        "full",
        "random",
        "urandom",
        "tty",
        "ptmx",
        "pts",
        "shm",
        "mqueue",
        "fd",
        "stdin",
        "stdout",
        "stderr",
        "core",
        "net",
        "fuse",
        "kvm",
    ]
)
#: statvfs flag -> mount flag: what a bind mount inherited must be kept when it is made read-only
KEPT = (
    (1, MS_RDONLY),
    (2, MS_NOSUID),
    (4, MS_NODEV),
    (8, MS_NOEXEC),
    (1024, MS_NOATIME),
    (2048, MS_NODIRATIME),
    (4096, MS_RELATIME),
)


class Refused(Exception):
    """What the machine does not let us do, in a sentence."""


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise Refused(f"{what}: {os.strerror(number)}")


def mount(source, target, kind, flags, data=None):
    encode = lambda text: None if text is None else os.fsencode(text)  # noqa: E731
    result = _libc().mount(encode(source), encode(target), encode(kind), ctypes.c_ulong(flags), encode(data))
    _check(result, f"mount {target}")


def unshare(flags):
    _check(_libc().unshare(flags), "unshare")


def enter(spec):
    """New namespaces."""
    uid, gid = os.getuid(), os.getgid()
    if spec["namespaces"] == "user":
        unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS)
        inner_uid, inner_gid = spec.get("inner") or (uid, gid)
        write("/proc/self/setgroups", "deny")
        write("/proc/self/uid_map", f"{inner_uid} {uid} 1")
        write("/proc/self/gid_map", f"{inner_gid} {gid} 1")
    else:
        unshare(CLONE_NEWNS | CLONE_NEWUTS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    name = spec.get("hostname")
    if name:
        encoded = os.fsencode(name)
        _libc().sethostname(encoded, len(encoded))


def join(pid):
    """The namespaces and the root directory of a running container."""
    folder = f"/proc/{pid}"
    root = os.open(f"{folder}/root", os.O_RDONLY | os.O_DIRECTORY)
    names = []
    for name in ("user", "mnt", "uts"):
        if os.readlink(f"{folder}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"):
            names.append(os.open(f"{folder}/ns/{name}", os.O_RDONLY))
    for fd in names:
        _check(_libc().setns(fd, 0), "setns")
        os.close(fd)
    os.fchdir(root)
    os.chroot(".")
    os.close(root)


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def resolve(path):
    """Where a path of the machine really is: links in what exists are followed, the rest stays."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    at = "/"
    for index, part in enumerate(parts):
        following = os.path.join(at, part)
        if not os.path.lexists(following):
            return os.path.join(at, *parts[index:])
        at = os.path.realpath(following)
    return at


def deepest(path):
    """The deepest directory of the machine above a path."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def build_root(root, mounts):
    """The machine's files with the container's mounts among them.

    Only directories in which something has to be added are made anew, from bind mounts of what they hold; all
    others are the machine's own. Nothing outside the namespace changes.
    """
    mount("tmpfs", root, "tmpfs", MS_NOSUID, "mode=0755")
    places = [(source, resolve(target), read_only) for source, target, read_only in mounts]
    anew = {"/"}
    inside = tuple(target + "/" for _, target, _ in places)
    for source, target, _ in places:
        if target.startswith(inside):
            continue
        fits = os.path.isdir(target) if os.path.isdir(source) else os.path.isfile(target)
        if not fits:
            folder = deepest(os.path.dirname(target))
            while folder not in anew:
                anew.add(folder)
                folder = os.path.dirname(folder)
    populate("/", root, anew)
    for source, target, read_only in sorted(places, key=lambda place: place[1].count("/")):
        bind(source, root + target, read_only)


def populate(folder, root, anew):
    for entry in os.scandir(folder):
        if folder == "/dev" and entry.name not in DEVICES:
            continue
        target = root + entry.path
        try:
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), target)
            elif entry.is_dir():
                os.mkdir(target)
                if entry.path in anew:
                    populate(entry.path, root, anew)
                else:
                    mount(entry.path, target, None, MS_BIND | MS_REC)
            else:
                os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
                mount(entry.path, target, None, MS_BIND)
        except (OSError, Refused):
            # what we may not see ourselves is not there for the container either
            continue


def bind(source, target, read_only):
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o666))
    mount(source, target, None, MS_BIND | MS_REC)
    if read_only:
        have = os.statvfs(target).f_flag
        flags = sum(flag for bit, flag in KEPT if have & bit)
        mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def limit(limits):
    import resource

    for name, value in limits:
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            continue


def become(spec):
    """The user of the command."""
    if spec.get("groups") is not None:
        os.setgroups(spec["groups"])
    if spec.get("gid") is not None:
        os.setgid(spec["gid"])
    if spec.get("uid") is not None:
        os.setuid(spec["uid"])


def run(spec):
    """Does not return. Raises OSError, Refused."""
    if spec.get("tty"):
        import fcntl

        fcntl.ioctl(0, TIOCSCTTY if sys.platform == "linux" else 0x20007461, 0)
    if spec.get("cgroup"):
        try:
            write(spec["cgroup"], "0")
        except OSError:
            pass
    limit(spec.get("limits", ()))
    if spec.get("join"):
        join(spec["join"])
    elif spec.get("namespaces"):
        enter(spec)
        root = spec["root"]
        build_root(root, spec["mounts"])
        os.chdir(root)
        os.chroot(".")
    become(spec)
    os.umask(spec.get("umask", 0o022))
    cwd = spec.get("cwd") or "/"
    try:
        os.chdir(cwd)
    except OSError as error:
        raise Refused(
            f"chdir to cwd ({json.dumps(cwd)}) set in config.json failed: {error.strerror.lower()}"
        ) from None
    for name in ("SIGPIPE", "SIGXFSZ", "SIGINT"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    argv, env = spec["argv"], spec["env"]
    try:
        os.execvpe(argv[0], argv, env)
    except FileNotFoundError:
        where = ": no such file or directory" if "/" in argv[0] else ": executable file not found in $PATH"
        raise Refused(f"exec: {json.dumps(argv[0])}{where}") from None
    except OSError as error:
        raise Refused(f"exec: {json.dumps(argv[0])}: {error.strerror.lower()}") from None


def try_out(folder):
    """Whether namespaces work here: exit code 0 and the kind on stdout."""
    kind = "mount" if os.getuid() == 0 else "user"
    enter({"namespaces": kind})
    root = os.path.join(folder, "root")
    os.makedirs(root, exist_ok=True)
    mount("tmpfs", root, "tmpfs", MS_NOSUID, "mode=0755")
    os.mkdir(os.path.join(root, "x"))
    mount("/usr", os.path.join(root, "x"), None, MS_BIND | MS_REC)
    mount("/proc", os.path.join(root, "x"), None, MS_BIND | MS_REC)
    os.chroot(root)
    os.write(1, kind.encode())


def main():
    if sys.argv[1] == "--try":
        try_out(sys.argv[2])
        return
    path, errors = sys.argv[1], int(sys.argv[2])
    os.set_inheritable(errors, False)
    try:
        with open(path) as file:
            spec = json.load(file)
        os.unlink(path)
        run(spec)
    except (Refused, OSError) as error:
        os.write(errors, str(error).encode())
        os._exit(127)


if __name__ == "__main__":
    main()
