//! One of an event's files as the object that a policy is asked about.
//!
//! Owns: how the fields of such an object read. Must not: know which files an
//! event has.

use std::ops::ControlFlow;

use crate::cond::{Field, Subject, Value};
use crate::session::path::{base_name, folder};

/// An event as a policy is asked about it with one of its files as the object:
/// a script's interpreter must not be let through because the script may be.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    subject: &'a dyn Subject,
    path: &'a [u8],
}

impl<'a> Object<'a> {
    /// `subject` as if it were about the file at `path`.
    #[must_use]
    pub fn new(subject: &'a dyn Subject, path: &'a [u8]) -> Self {
        Self { subject, path }
    }
}

impl Subject for Object<'_> {
    fn value(&self, field: Field) -> Value<'_> {
        match field {
            Field::FdName | Field::FsPathName => Value::bytes(self.path),
            Field::FdFilename => Value::bytes(base_name(self.path)),
            Field::FdDirectory => Value::bytes(folder(self.path)),
            field => self.subject.value(field),
        }
    }

    fn each(&self, field: Field, visit: &mut dyn FnMut(&Value<'_>) -> ControlFlow<()>) {
        self.subject.each(field, visit);
    }
}
