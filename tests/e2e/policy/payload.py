# What a thief and a dropper try under the default policy: STEP NAME ANSWER, where
# the answer is OK or the errno's name.
import errno, os, shutil, stat, subprocess, sys
home = os.path.expanduser("~")
key, aws = home + "/.ssh/id_rsa", home + "/.aws/credentials"

def step(name):
    def run(f):
        try:
            f()
            answer = "OK"
        except OSError as e:
            answer = errno.errorcode.get(e.errno, str(e.errno))
        print("STEP", name, answer, flush=True)
    return run

def read(path):
    os.close(os.open(path, os.O_RDONLY))

@step("read")
def _(): read(key)
@step("read-relative")
def _(): os.chdir(home + "/.ssh"); read("id_rsa")
os.chdir("/tmp")
@step("read-by-link")
def _(): os.symlink(home + "/.ssh", "/tmp/link"); read("/tmp/link/id_rsa")
@step("read-by-folder")
def _():
    folder = os.open(home + "/.ssh", os.O_PATH)
    os.close(os.open("id_rsa", os.O_RDONLY, dir_fd=folder))
@step("read-by-magic")
def _():
    fd = os.open(key, os.O_PATH)
    read(f"/proc/self/fd/{fd}")
@step("read-write")
def _(): os.close(os.open(key, os.O_RDWR))
@step("write")
def _(): os.close(os.open(key, os.O_WRONLY | os.O_TRUNC))
@step("truncate")
def _(): os.truncate(key, 0)
@step("link")
def _(): os.link(key, "/tmp/linked") if os.stat(key).st_dev == os.stat("/tmp").st_dev else os.link(key, home + "/linked")
@step("rename")
def _(): os.rename(key, home + "/moved")
@step("rename-folder")
def _(): os.rename(home + "/.ssh", home + "/ssh-moved")
@step("replace")
def _():
    open(home + "/other", "w").close()
    os.rename(home + "/other", key)
@step("unlink")
def _(): os.unlink(aws)
@step("chmod")
def _(): os.chmod(key, 0o777)
@step("stat")
def _(): os.stat(key)
@step("ordinary")
def _():
    with open(home + "/.ssh/known_hosts", "w") as f: f.write("x")
    os.rename(home + "/.ssh/known_hosts", home + "/.ssh/known_hosts2")
    os.unlink(home + "/.ssh/known_hosts2")

def drop(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    shutil.copy("/usr/bin/true", path)
    os.chmod(path, 0o755)
    return path

def execute(path):
    subprocess.run([path], check=True)

@step("exec-plain")
def _(): execute(drop("/tmp/plain/tool"))
@step("exec-hidden")
def _(): execute(drop("/tmp/.cache-x/tool"))
@step("exec-shm")
def _(): execute(drop("/dev/shm/tool"))
@step("exec-memory")
def _():
    fd = os.memfd_create("x", 0)
    with open("/usr/bin/true", "rb") as f: os.write(fd, f.read())
    execute(f"/proc/{os.getpid()}/fd/{fd}")
@step("exec-interpreter")
def _():
    with open("/tmp/script", "w") as f: f.write("#!/tmp/.cache-x/tool\n")
    os.chmod("/tmp/script", 0o755)
    execute("/tmp/script")
@step("exec-link")
def _():
    os.symlink("/tmp/.cache-x/tool", "/tmp/innocent")
    execute("/tmp/innocent")
@step("exec-moved")
def _():
    os.rename("/tmp/.cache-x/tool", "/tmp/plain/moved")
    execute("/tmp/plain/moved")
@step("exec-missing")
def _(): execute("/tmp/nothing-here")
@step("exec-system")
def _(): execute("/bin/true")
print("STEP done OK", flush=True)
