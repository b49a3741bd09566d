use tokio::io::AsyncWriteExt;

use super::*;

#[tokio::test]
async fn keeps_the_last_lines_and_escapes_them() {
    let (mut write, read) = tokio::io::duplex(1024);
    let tail = collect(read);
    for number in 0..100_000 {
        write
            .write_all(format!("line {number}\r\n").as_bytes())
            .await
            .unwrap();
    }
    write
        .write_all(b"\x1b[31mred\xff \x07\r\nend")
        .await
        .unwrap();
    drop(write);
    tail.drained(Duration::from_secs(60)).await;
    let text = tail.text();
    assert!(
        text.ends_with("line 99999\n\\x1b[31mred\\xff \\x07\nend"),
        "{text}"
    );
    assert_eq!(text.lines().count(), SHOWN_LINES);
    assert!(tail.bytes.lock().unwrap().len() <= KEPT);
    assert!(
        text.bytes()
            .all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
    );
}
