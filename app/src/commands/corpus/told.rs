//! What `belljar test` says on the screen.

use belljar_replay::escape;
use belljar_replay::report::jsonl;
use serde_json::json;

use super::{Tested, Traced};
use crate::cli::Format;
use crate::print;

pub(super) fn tell(tested: &Tested, format: Format) {
    if format == Format::Table {
        print::out(&table(tested));
        return;
    }
    let mut all = json!(tested);
    if let Some(object) = all.as_object_mut() {
        object.insert("misses".to_owned(), tested.misses().into());
        object.insert("broken".to_owned(), tested.broken().into());
    }
    let text = match format {
        Format::Json => format!("{all:#}"),
        _ => all.to_string(),
    };
    print::out(&format!("{}\n", jsonl::guarded(&text)));
}

pub(super) fn table(tested: &Tested) -> String {
    let mut out = String::new();
    for one in &tested.traces {
        out.push_str(&of_trace(one, tested.strict));
    }
    for one in &tested.unmatched {
        let (trace, at) = (escape::string(&one.trace), escape::string(&one.at));
        let near = one.near.as_deref().map_or_else(String::new, |near| {
            format!("; did you mean {}?", escape::string(near))
        });
        out.push_str(&format!("✗ MISS {trace}: no trace fits{near}\n    {at}\n"));
    }
    let (held, all) = (
        tested.points().filter(|point| point.held).count(),
        tested.points().count(),
    );
    if tested.interrupted {
        out.push_str("INTERRUPTED: not all traces were judged\n");
    }
    out.push_str(&format!(
        "{held} of {all} expectations held over {} traces; {} misses, {} damaged or unreadable; rules {}\n",
        tested.traces.len(),
        tested.misses(),
        tested.broken(),
        tested.rules
    ));
    out
}

fn of_trace(one: &Traced, strict: bool) -> String {
    let trace = escape::string(&one.trace);
    let mut out = String::new();
    if let Some(why) = &one.unreadable {
        out.push_str(&format!("✗ UNREADABLE {trace}: {}\n", escape::string(why)));
    }
    if let Some(why) = &one.damaged {
        let why = escape::string(why);
        out.push_str(&format!(
            "✗ DAMAGED {trace}: {why}; its good part was judged\n"
        ));
    }
    if one.unexpected {
        let word = if strict { "✗ MISS" } else { "! warning" };
        out.push_str(&format!("{word} {trace}: no expectation fits it\n"));
    }
    for point in one.points.iter().filter(|point| !point.held) {
        out.push_str(&format!(
            "✗ MISS {trace}: {}, found {}\n    {}\n",
            escape::string(&point.expected),
            escape::string(&point.found),
            escape::string(&point.at)
        ));
    }
    out
}
