//! What `belljar test` writes for build servers: JUnit's XML.
//!
//! Owns: what is a suite (a trace), a case (an expectation), a failure (a miss)
//! and an error (a trace that could not be read). Must not: write a time, so
//! that equal outcomes are equal files.

use std::path::Path;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Point, Tested, Traced, Unmatched};
use crate::error::AppError;

pub(super) fn write(tested: &Tested, path: &Path) -> Result<(), AppError> {
    let fail = |source| AppError::file("write", path, source);
    let xml = xml(tested).map_err(|error| fail(std::io::Error::other(error)))?;
    std::fs::write(path, xml).map_err(fail)
}

pub(super) fn xml(tested: &Tested) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new("belljar test");
    for one in &tested.traces {
        report.add_test_suite(suite(one, tested.strict));
    }
    if !tested.unmatched.is_empty() {
        let mut suite = TestSuite::new("expectations that fit no trace");
        suite.add_test_cases(tested.unmatched.iter().map(unmatched));
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn suite(one: &Traced, strict: bool) -> TestSuite {
    let mut suite = TestSuite::new(one.trace.as_str());
    let mut add = |name: &str, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(one.trace.as_str());
        suite.add_test_case(case);
    };
    for (what, why) in [("readable", &one.unreadable), ("whole", &one.damaged)] {
        if let Some(why) = why {
            add(what, not(NonSuccessKind::Error, why, ""));
        }
    }
    if one.unexpected {
        let why = "no expectation fits this trace";
        add(
            "expected",
            match strict {
                true => not(NonSuccessKind::Failure, why, ""),
                false => TestCaseStatus::skipped(),
            },
        );
    }
    for point in &one.points {
        add(&point.expected, status(point));
    }
    suite
}

fn status(point: &Point) -> TestCaseStatus {
    if point.held {
        return TestCaseStatus::success();
    }
    let message = format!("found {}", point.found);
    not(NonSuccessKind::Failure, &message, &point.at)
}

fn not(kind: NonSuccessKind, message: &str, more: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message);
    if !more.is_empty() {
        status.set_description(more);
    }
    status
}

fn unmatched(one: &Unmatched) -> TestCase {
    let near = one
        .near
        .as_deref()
        .map_or_else(String::new, |near| format!("; did you mean {near}?"));
    let message = format!("no trace fits{near}");
    let status = not(NonSuccessKind::Failure, &message, &one.at);
    let mut case = TestCase::new(one.trace.as_str(), status);
    case.set_classname("expectations");
    case
}
