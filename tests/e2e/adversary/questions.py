# Fifty at once that all want something that is asked about: forty the same
# destination, ten a program of their own each. Then one more of the first kind, and
# one that ends while it is asked about.
import os, shutil, signal, socket, sys, time
os.makedirs("/tmp/.q")
for n in range(10): shutil.copy("/usr/bin/true", f"/tmp/.q/p{n}")
shutil.copy("/usr/bin/true", "/tmp/.q/doomed")
address = socket.getaddrinfo("one.example", 443, type=socket.SOCK_STREAM)[0][4]
def connect():
    try: socket.create_connection(address, timeout=600); return 0
    except OSError as e: return e.errno or 99
def execute(program):
    try: os.execv(program, ["x"])
    except OSError as e: return e.errno
gate, go = os.pipe()
children = {}
for n in range(50):
    pid = os.fork()
    if not pid:
        os.close(go); os.read(gate, 1)
        os._exit(connect() if n < 40 else execute(f"/tmp/.q/p{n - 40}"))
    children[pid] = n
os.close(go)
counts = {}
for _ in children:
    pid, status = os.wait()
    kind = "connects" if children[pid] < 40 else "programs"
    answer = os.waitstatus_to_exitcode(status)
    counts[kind, answer] = counts.get((kind, answer), 0) + 1
for (kind, answer), count in sorted(counts.items()): print("ANSWERED", kind, answer, count, flush=True)
print("AGAIN", connect(), flush=True)
time.sleep(25)
doomed = os.fork()
if not doomed: os._exit(execute("/tmp/.q/doomed"))
time.sleep(8)
os.kill(doomed, signal.SIGKILL)
print("DOOMED", os.waitstatus_to_exitcode(os.waitpid(doomed, 0)[1]), flush=True)
