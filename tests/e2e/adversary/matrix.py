# One row of the capability matrix a line: ROW NAME ANSWER.
import os, socket, subprocess, sys
home = os.path.expanduser("~")
def row(name):
    def run(f):
        try: answer = f() or "OK"
        except socket.gaierror: answer = "NONAME"
        except OSError as e:
            import errno
            answer = errno.errorcode.get(e.errno, str(e.errno))
        print("ROW", name, answer, flush=True)
    return run
def read(path):
    with open(path, "rb") as f: return "SECRET" if b"real-secret" in f.read() else "OK"
row("host-file")(lambda: read(sys.argv[1]))
row("host-environment")(lambda: "SECRET" if "real-secret" in str(os.environ) else "OK")
row("project-file")(lambda: read("ordinary.txt"))
row("project-env")(lambda: read(".env"))
for name in (".ssh/id_rsa", ".ssh/id_ed25519", ".local/share/keyrings/login.keyring",
             ".config/google-chrome/Default/Login Data", ".aws/credentials",
             ".config/gcloud/application_default_credentials.json", ".azure/accessTokens.json",
             ".azure/msal_token_cache.json", ".gcp/credentials.json", ".docker/config.json", ".kube/config",
             ".git-credentials", ".pypirc", ".config/solana/id.json", ".env", ".npmrc", ".netrc"):
    row("home:" + name.replace(" ", "-"))(lambda: read(home + "/" + name))
row("shadow")(lambda: read("/etc/shadow"))
row("disk")(lambda: read("/dev/vda"))
def dial(host, port): socket.create_connection((host, port), timeout=30).close()
row("name-not-allowed")(lambda: dial("denied.example", 443))
row("name-allowed")(lambda: dial("allowed.example", 443))
row("name-allowed-other-port")(lambda: dial("allowed.example", 8443))
row("address")(lambda: dial("198.51.100.9", 443))
row("metadata")(lambda: dial("169.254.169.254", 80))
row("spawn")(lambda: subprocess.run(["/bin/echo", "spawned-with-this"], check=True) and None)
def dropped():
    os.makedirs("/tmp/.drop", exist_ok=True)
    subprocess.run(["cp", "/bin/true", "/tmp/.drop/tool"], check=True)
    subprocess.run(["/tmp/.drop/tool"])
row("hidden-program")(dropped)
row("system-program")(lambda: subprocess.run(["/usr/bin/true"], check=True) and None)
print("ROW done OK", flush=True)
