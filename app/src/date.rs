//! Dates for people, in UTC, which is the same for every reader.

use std::time::SystemTime;

use time::OffsetDateTime;

/// `2031-05-09`.
pub(crate) fn day(at: SystemTime) -> String {
    OffsetDateTime::from(at).date().to_string()
}

/// `2031-05-09 09:05`.
pub(crate) fn minute(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!("{} {:02}:{:02}", at.date(), at.hour(), at.minute())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn of_the_calendar() {
        let at = |seconds| minute(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00");
        assert_eq!(at(951_827_696), "2000-02-29 12:34");
        assert_eq!(at(1_772_323_199), "2026-02-28 23:59");
        assert_eq!(at(1_772_323_200), "2026-03-01 00:00");
        assert_eq!(
            day(UNIX_EPOCH + Duration::from_secs(951_868_800)),
            "2000-03-01"
        );
    }
}
