# Where there is no node: pip's index, if there is pip.
stage clients
{
    if [ -e "$root/usr/bin/pip3" ]; then
        printf 'pip_index='
        in_root python3 -m pip config get global.index-url 2>/dev/null ||
            in_root python3 -c 'from pip._internal.models.index import PyPI; print(PyPI.simple_url)'
        # An index may keep its files on another host; a small package says which.
        if in_root python3 -m pip install --quiet --dry-run --ignore-installed --no-deps \
            --only-binary :all: --report /belljar/pip.json pip >/dev/null; then
            printf 'pip_files='
            in_root python3 -c 'import json
print(json.load(open("/belljar/pip.json"))["install"][0]["download_info"]["url"])'
        fi
    fi
} >"$root/belljar/clients"
in_root dpkg-query -W -f '${Package} ${Version}\n' >"$root/belljar/packages"
