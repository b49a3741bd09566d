# Logs what each connection brings: one file a connection, PORT-NUMBER.
import os, socket, ssl, sys, threading
dir = sys.argv[1]
os.mkdir(dir + "/log")
secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
secure.load_cert_chain(dir + "/cert.pem", dir + "/key.pem")
def speak_tls(conn, path):
    with open(path, "wb", buffering=0) as log:
        try:
            with secure.wrap_socket(conn, server_side=True) as inside:
                log.write(inside.recv(65536))
                inside.sendall(b"heard in secret")
        except OSError as error: log.write(repr(error).encode())
def serve(conn, path):
    with open(path, "wb", buffering=0) as log:
        try:
            while chunk := conn.recv(65536):
                log.write(chunk)
                if chunk.endswith(b"\r\n\r\n"):
                    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                elif chunk.startswith(b"bye"):
                    break
        except OSError: pass
    conn.close()
def flood(conn, path):
    open(path, "w").close()
    try:
        for _ in range(64): conn.sendall(b"\0" * 65536)
    except OSError: pass
    conn.close()
def listen(family, ip, port):
    server = socket.socket(family); server.bind((ip, port)); server.listen(16)
    number = 0
    while True:
        conn, _ = server.accept()
        number += 1
        if port == 25: conn.sendall(b"220 hello\r\n")
        talk = {8443: speak_tls, 9001: flood}.get(port, serve)
        threading.Thread(target=talk, args=(conn, f"{dir}/log/{port}-{number}"), daemon=True).start()
for family, ip, port in [(socket.AF_INET, "198.51.100.7", p) for p in (25, 80, 81, 443, 4443, 8080, 8443, 9000, 9001)] + [(socket.AF_INET6, "2001:db8::7", 444)]:
    threading.Thread(target=listen, args=(family, ip, port), daemon=True).start()
open(dir + "/ready", "w").close()
threading.Event().wait()
