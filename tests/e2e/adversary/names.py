# Everything that a payload can name itself, with what a terminal would obey, what
# turns text around, what breaks lines, and what is no text at all. Each name ends
# in its own word, by which it is found again.
import ctypes, os, socket, struct, subprocess, time
libc = ctypes.CDLL(None, use_errno=True)
BAD = (b"\x1b[2J\x1b[31mSAFE\x1b]0;owned\x07\r\n\x00\x7f\xc2\x9b1m\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b\xef\xbb\xbf\xff\xfe\x80"
       b"\xed\xa0\x80\xf4\x90\x80\x80\tend\\x1b")
NAME = BAD.replace(b"\x00", b"")
def step(name):
    def run(f):
        try: f(); answer = "OK"
        except OSError as e: answer = type(e).__name__
        print("STEP", name, answer, flush=True)
    return run
@step("file")
def _(): os.close(os.open(b"/tmp/" + NAME + b"word-file", os.O_CREAT | os.O_WRONLY))
@step("missing")
def _():
    try: os.open(b"/tmp/" + NAME + b"word-missing", os.O_RDONLY)
    except FileNotFoundError: pass
@step("folder")
def _(): os.mkdir(b"/tmp/" + NAME + b"word-folder"); os.chdir(b"/tmp/" + NAME + b"word-folder")
@step("program")
def _():
    with open("/bin/true", "rb") as f: data = f.read()
    with open(NAME + b"word-program", "wb") as f: f.write(data)
    os.chmod(NAME + b"word-program", 0o755)
    subprocess.run([b"./" + NAME + b"word-program", NAME + b"word-argument"], env={b"E" + NAME + b"word-variable": NAME})
@step("link")
def _(): os.symlink(NAME + b"word-target", b"/tmp/" + NAME + b"word-link")
@step("renamed")
def _(): os.rename(b"/tmp/" + NAME + b"word-file", b"/tmp/" + NAME + b"word-renamed")
@step("thread")
def _():
    libc.prctl(15, b"\x1b[31m\xe2\x80\xae\n\xff", 0, 0, 0)
    os.close(os.open(b"/tmp/" + NAME + b"word-renamed", os.O_RDONLY))
@step("memory")
def _(): os.memfd_create(NAME[:180].decode("utf-8", "surrogateescape") + "word-memory")
@step("memory-program")
def _():
    fd = os.memfd_create("\x1b[1mword-memory-program")
    with open("/bin/true", "rb") as f: os.write(fd, f.read())
    os.set_inheritable(fd, True)
    if os.fork() == 0:
        # The policy asks about it, and nobody is there.
        try: os.execve(fd, [NAME + b"word-first"], {})
        finally: os._exit(0)
    os.wait()
@step("socket")
def _(): socket.socket(socket.AF_UNIX).bind(b"/tmp/" + NAME[:60] + b"word-socket")
@step("abstract")
def _(): socket.socket(socket.AF_UNIX).bind(b"\0" + NAME[:60] + b"word-abstract")
@step("lookup")
def _():
    # Raw: no client would ask for it.
    labels = b"".join(bytes([len(l)]) + l for l in (b"\x1b[2J\n\xe2\x80\xae\xff", b"word-lookup", b"example")) + b"\0"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    s.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0\1\0\1", ("198.51.100.53", 53)); s.recv(512)
@step("credential")
def _():
    # What a finding would name.
    os.makedirs(b"/tmp/" + NAME + b"word-home/.ssh", exist_ok=True)
    try: os.open(b"/tmp/" + NAME + b"word-home/.ssh/id_rsa", os.O_RDONLY)
    except FileNotFoundError: pass
@step("dropped")
def _():
    place = b"/tmp/.\x1b[32m\xe2\x80\xaeword-hidden"; os.mkdir(place)
    with open("/bin/true", "rb") as f, open(place + b"/tool", "wb") as g: g.write(f.read())
    os.chmod(place + b"/tool", 0o755)
    try: subprocess.run([place + b"/tool"])
    except PermissionError: pass
print("STEP done OK", flush=True)
time.sleep(1)  # what follows is no text, and is told apart from what went before
os.write(1, b"\x1b[2J\x1b]52;c;c3RvbGVu\x07" + NAME + b"\n")
os._exit(3)
