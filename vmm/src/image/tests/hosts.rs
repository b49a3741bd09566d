use super::host::{certificates, setting};

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";

#[test]
fn only_certificates_leave_a_bundle() {
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let bundle =
        format!("# roots\n{key}{CERTIFICATE}{key}{CERTIFICATE}-----BEGIN CERTIFICATE-----\ncut");
    assert_eq!(certificates(&bundle).unwrap(), CERTIFICATE.repeat(2));
    assert_eq!(certificates(key), None);
    let nested = format!("-----BEGIN CERTIFICATE-----\n{key}-----END CERTIFICATE-----\n");
    assert_eq!(certificates(&nested), None);
}

#[test]
fn settings_are_read_from_where_the_clients_read_them() {
    let npmrc = "//npm.example/:_authToken=secret\n@scope:registry=https://no.example/\nregistry = \"https://npm.example/\"\n";
    assert_eq!(
        setting(npmrc, "registry", None).unwrap(),
        "https://npm.example/"
    );
    let pip = "[freeze]\nindex-url = https://no.example\n[global]\nindex-url = https://pip.example/simple\n";
    let sections = Some(&["global", "install"][..]);
    assert_eq!(
        setting(pip, "index-url", sections).unwrap(),
        "https://pip.example/simple"
    );
    assert_eq!(
        setting("index-url = https://no.example", "index-url", sections),
        None
    );
}
