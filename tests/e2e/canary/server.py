# Logs what each connection brings: one file a connection, log/NUMBER. Answers at its end.
import os, socket, sys, threading
dir = sys.argv[1]
os.mkdir(dir + "/log")
def serve(conn, path):
    with open(path, "wb", buffering=0) as log:
        try:
            while chunk := conn.recv(65536):
                log.write(chunk)
            conn.sendall(b"ok")
        except OSError: pass
    conn.close()
server = socket.socket(); server.bind(("198.51.100.7", 9000)); server.listen(16)
open(dir + "/ready", "w").close()
number = 0
while True:
    conn, _ = server.accept()
    number += 1
    threading.Thread(target=serve, args=(conn, f"{dir}/log/{number}"), daemon=True).start()
