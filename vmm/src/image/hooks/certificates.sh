# The host's roots become the guest's: a company's or a sandbox's own
# authority is known to the host only.
stage certificates
bundle=/etc/ssl/certs/ca-certificates.crt
if [ -s "$root/belljar/ca.crt" ]; then
    cp "$root/belljar/ca.crt" "$root$bundle"
    chmod 0644 "$root$bundle"
fi
# OpenSSL's default file, so that programs which look at no setting find it too.
ln -sf "$bundle" "$root/usr/lib/ssl/cert.pem"
cat >"$root/etc/environment" <<END
NODE_EXTRA_CA_CERTS=$bundle
REQUESTS_CA_BUNDLE=$bundle
SSL_CERT_FILE=$bundle
END
cat >"$root/etc/gitconfig" <<END
[http]
	sslCAInfo = $bundle
END
# The guest's system is thrown away: nothing is gained by keeping pip out of it,
# and a virtual environment takes a minute to make under emulation.
{
    printf '[global]\ncert = %s\n' "$bundle"
    printf 'disable-pip-version-check = true\nbreak-system-packages = true\n'
    [ -z "$PIP_INDEX" ] || printf 'index-url = %s\n' "$PIP_INDEX"
} >"$root/etc/pip.conf"
mkdir -p "$root/usr/local/etc"
{
    printf 'cafile=%s\nupdate-notifier=false\nfund=false\n' "$bundle"
    [ -z "$NPM_REGISTRY" ] || printf 'registry=%s\n' "$NPM_REGISTRY"
} >"$root/usr/local/etc/npmrc"
