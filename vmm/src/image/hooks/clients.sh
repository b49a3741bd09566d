# Which registries the clients in this image use is asked of the clients, in an
# empty folder, so that no registry's name stands in Belljar.
stage clients
mkdir -p "$root/belljar/empty"
{
    printf 'npm_registry='
    in_root sh -c 'cd /belljar/empty && npm config get registry'
    printf 'pip_index='
    in_root python3 -m pip config get global.index-url 2>/dev/null ||
        in_root python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)'
    # An index may keep its files on another host; where the wheel really came
    # from says which.
    printf 'pip_files='
    in_root python3 -c 'import json
print(json.load(open("/belljar/pip.json"))["install"][0]["download_info"]["url"])'
    printf 'node='
    in_root node --version
    printf 'npm='
    in_root npm --version
} >"$root/belljar/clients"
in_root dpkg-query -W -f '${Package} ${Version}\n' >"$root/belljar/packages"
