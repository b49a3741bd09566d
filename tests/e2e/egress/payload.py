# Each step makes a flow and prints what came of it: STEP NAME RESULT.
import socket, ssl, time
def step(name):
    def run(f):
        try: result = f()
        except BaseException as e: result = type(e).__name__ + " " + str(getattr(e, "errno", ""))
        print("STEP", name, result, flush=True)
    return run
def dial(host, port):
    s = socket.create_connection((host, port), timeout=20); return s
def tls(name, patience):
    context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
    s = dial("upload.example", 443); s.settimeout(patience)
    context.wrap_socket(s, server_hostname=name)
def http(*hosts):
    s = dial("upload.example", 80); got = []
    for host in hosts:
        s.sendall(f"GET /loot HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()); got.append(s.recv(100)[-2:])
    return got
@step("tls-good")
def _(): return tls("upload.example", 2)
@step("tls-spoof")
def _(): return tls("other.example", 60)
@step("http-good")
def _(): return http("upload.example", "UPLOAD.example:80")
@step("http-spoof")
def _(): return http("other.example")
@step("http-later")
def _(): return http("upload.example", "other.example")
@step("server-first")
def _():
    s = dial("upload.example", 25); greeting = s.recv(100); s.sendall(b"bye\r\n"); return greeting
@step("bare")
def _(): return dial("198.51.100.7", 443)
@step("v6")
def _():
    s = dial("2001:db8::7", 444); s.sendall(b"\0six"); s.shutdown(socket.SHUT_WR); return s.recv(10)
@step("port")
def _():
    s = dial("upload.example", 8080); s.sendall(b"\0no"); return s.recv(10)
@step("name")
def _(): return dial("other.example", 443)
@step("other-port")
def _():
    s = dial("single.example", 80); s.sendall(b"\0no"); return s.recv(10)
@step("v6-other")
def _(): return dial("2001:db8::7", 445)
@step("tls-real")
def _():
    context = ssl.create_default_context(cafile="authority.txt")
    with context.wrap_socket(dial("upload.example", 8443), server_hostname="upload.example") as s:
        s.sendall(b"the secret part"); return s.version(), s.recv(100)
@step("dns")
def _():
    server = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver"))
    labels = b"".join(bytes([len(part)]) + part.encode() for part in "other.example".split("."))
    # One question of type A, and a record that says: extensions are understood.
    asked = b"\x12\x34\1\0\0\1\0\0\0\0\0\1" + labels + b"\0\0\1\0\1" + b"\0\0\x29\4\xd0\0\0\0\0\0\0"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(20)
    s.sendto(asked, (server, 53)); reply = s.recv(1000)
    return reply[3] & 15, reply[-25:]
@step("limit-in")
def _():
    s = dial("upload.example", 9001); total = 0
    try:
        while chunk := s.recv(65536): total += len(chunk)
    except OSError as e: return total, type(e).__name__
    return total, "end"
@step("limit")
def _():
    s = dial("upload.example", 9000)
    for _ in range(64): s.sendall(b"\0" * 65536)
    return s.recv(10)
