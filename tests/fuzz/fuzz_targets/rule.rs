//! Rule files of somebody else.
#![no_main]

use belljar_fuzz::Everything;
use belljar_replay::rules::RuleSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let names = RuleSet::builtin_sources()
        .iter()
        .filter(|(file, _)| *file == "names.yaml")
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect::<Vec<_>>();
    // Names alone, and a rule beside the names that there are.
    let alone = vec![("names.yaml".to_owned(), text.clone())];
    let mut beside = names;
    beside.push(("rule.yaml".to_owned(), text));
    for sources in [alone, beside] {
        match RuleSet::load(&sources) {
            Ok(rules) => {
                for rule in rules.rules() {
                    let _ = rule.message_for(&Everything);
                    let _ = rule.subject_for(&Everything);
                }
                rules.judge(&Everything, "open", &mut |_| ());
            }
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    }
});
