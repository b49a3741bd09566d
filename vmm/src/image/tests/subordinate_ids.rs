use super::subids::{free_start, has_range, user_name};

#[test]
fn a_large_enough_range_counts() {
    let text = "other:100000:65536\nsmall:100000:1000\nme:100000:65536\n1001:165536:65536\nbad:x\n";
    assert!(has_range(text, &["me", "1000"]));
    assert!(has_range(text, &["you", "1001"]));
    assert!(!has_range(text, &["small"]));
    assert!(!has_range(text, &["bad"]));
    assert!(!has_range("", &["me"]));
}

#[test]
fn names_come_from_passwd() {
    let passwd = "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n";
    assert_eq!(user_name(passwd, "1000").unwrap(), "me");
    assert_eq!(user_name(passwd, "7"), None);
}

#[test]
fn a_range_that_nobody_has_is_proposed() {
    let start = |text: &str| free_start(&[text.to_owned(), String::new()]);
    assert_eq!(start(""), 100_000);
    assert_eq!(start("a:1000:50\nbad:x:y\n"), 100_000);
    assert_eq!(start("a:100000:65536\nb:165536:65536\n"), 231_072);
    assert_eq!(start("a:4294900000:65536\n"), 100_000);
    assert_eq!(
        free_start(&[String::new(), "a:100000:65536".into()]),
        165_536
    );
}
