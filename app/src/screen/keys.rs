//! The key table: the one place that knows a key.
//!
//! Owns: which key does what where, and how the footer and the help call it.
//! Must not: do anything. [`update`](mod@super::update) acts; a key that is not in this
//! table does not exist.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::Pane;

macro_rules! actions {
    ($($name:ident,)*) => {
        /// What a key can ask for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Action { $($name,)* }

        impl Action {
            #[cfg(test)]
            pub(super) const ALL: &'static [Action] = &[$(Action::$name,)*];
        }
    };
}

actions! {
    Quit, Interrupt, Help, Verdict, NextPane, PreviousPane, Output, Events, Timeline,
    PlayPause, Freeze, Back, Forward, StepBack, StepForward,
    PreviousFinding, NextFinding, Tenth, Slower, Faster, Start, Follow,
    Up, Down, PageUp, PageDown, Top, Bottom, Open, Copy,
    Fold, Unfold, Close, Yes, No,
    Filter, ClearFilter, NextMatch, PreviousMatch, GoThere,
    Apply, Cancel, Complete, Left, Right, LineStart, LineEnd,
    Erase, EraseNext, EraseWord, EraseAll,
    AllowOnce, DenyOnce, AllowMore, DenyMore, SaveAllow, SaveDeny, KillTree,
    Palette, Zoom, Only, Mark, Note, NextMark, PreviousMark, Choose, Keep, Earlier, Later,
    ForTree, ForRun, NotYet, KillNow, SaveLine, Questions, EndTree,
    Suspend, Same, Other, NextOther, PreviousOther, Wider, Narrower, Taller, Lower,
}

/// Where a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everywhere, over any overlay.
    Always,
    /// Wherever no overlay is open.
    Global,
    /// Two traces side by side.
    Diff,
    /// Panes with rows to select.
    Rows,
    /// The process tree.
    Processes,
    /// Panes whose rows fold.
    Tree,
    /// Panes whose rows have a moment.
    Moments,
    /// A question of the policy, while it waits in its pane.
    Question,
    /// What an answer holds for.
    Reach,
    /// Whether to end a process tree.
    Kill,
    /// The policy line that is saved.
    Save,
    /// The command palette.
    Palette,
    /// The line that a filter or a note is typed into.
    Input,
    /// Any line that is typed; what is no key here is text.
    Edit,
    /// Text that only scrolls.
    Scroll,
    /// The timeline.
    Timeline,
    /// Overlays: help, detail, verdict.
    Overlay,
    /// The question whether to leave while the run goes on.
    Leave,
}

/// The scopes that hold while a pane has the keys.
pub(super) fn pane_scopes(pane: Pane) -> &'static [Scope] {
    use Scope::{Always, Global, Moments, Processes, Rows, Scroll, Timeline, Tree};
    match pane {
        Pane::Processes => &[Processes, Moments, Tree, Rows, Global, Always],
        Pane::Files => &[Moments, Tree, Rows, Global, Always],
        Pane::Network | Pane::Findings | Pane::Events => &[Moments, Rows, Global, Always],
        Pane::Output => &[Scroll, Global, Always],
        Pane::Timeline => &[Timeline, Global, Always],
    }
}

/// The scopes that hold over two traces side by side.
pub(super) const DIFF: &[Scope] = &[Scope::Tree, Scope::Rows, Scope::Diff, Scope::Always];
/// The scopes that hold over an overlay.
pub(super) const OVERLAY: &[Scope] = &[Scope::Overlay, Scope::Scroll, Scope::Always];
/// The scopes that hold while the command palette is open.
pub(super) const PALETTE: &[Scope] = &[Scope::Palette, Scope::Edit, Scope::Always];
/// The scopes that hold while a filter or a note is typed.
pub(super) const INPUT: &[Scope] = &[Scope::Input, Scope::Edit, Scope::Always];
/// The scopes that hold while a policy line is edited.
pub(super) const SAVE: &[Scope] = &[Scope::Save, Scope::Edit, Scope::Always];
/// The scopes that hold while it is chosen what an answer holds for.
pub(super) const REACH: &[Scope] = &[Scope::Reach, Scope::Always];
/// The scopes that hold while it is asked whether to end a process tree.
pub(super) const KILL: &[Scope] = &[Scope::Kill, Scope::Always];
/// The keys of a question, which come before those of the pane.
pub(super) const QUESTION: &[Scope] = &[Scope::Question];
/// The scopes that hold while the question whether to leave is open.
pub(super) const LEAVE: &[Scope] = &[Scope::Leave, Scope::Always];

/// A key as it is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Press {
    /// A character, its case included.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// A key that has a name.
    Named(KeyCode),
    /// Any of `0`-`9`.
    Digit,
}

impl Press {
    fn is(self, key: &KeyEvent) -> bool {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match (self, key.code) {
            (Self::Char(want), KeyCode::Char(c)) => !ctrl && !alt && c == want,
            (Self::Ctrl(want), KeyCode::Char(c)) => ctrl && !alt && c.eq_ignore_ascii_case(&want),
            (Self::Digit, KeyCode::Char(c)) => !ctrl && !alt && c.is_ascii_digit(),
            (Self::Named(want), code) => !ctrl && !alt && code == want,
            _ => false,
        }
    }

    /// How it is written in the footer and in the help.
    pub(super) fn name(self) -> String {
        match self {
            Self::Char(' ') => "space".into(),
            Self::Char(c) => c.into(),
            Self::Ctrl(c) => format!("^{}", c.to_ascii_uppercase()),
            Self::Digit => "0-9".into(),
            Self::Named(code) => match code {
                KeyCode::Left => "←".into(),
                KeyCode::Right => "→".into(),
                KeyCode::Up => "↑".into(),
                KeyCode::Down => "↓".into(),
                KeyCode::BackTab => "⇧Tab".into(),
                KeyCode::PageUp => "PgUp".into(),
                KeyCode::PageDown => "PgDn".into(),
                KeyCode::Esc => "Esc".into(),
                KeyCode::Backspace => "⌫".into(),
                KeyCode::Delete => "Del".into(),
                other => format!("{other}"),
            },
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) presses: &'static [Press],
    pub(super) scope: Scope,
    pub(super) action: Action,
    /// In the footer, where neighbours with the same label share it; empty: not shown there.
    pub(super) label: &'static str,
    /// In the help.
    pub(super) help: &'static str,
}

const fn key(
    scope: Scope,
    action: Action,
    presses: &'static [Press],
    label: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        presses,
        scope,
        action,
        label,
        help,
    }
}

const ENTER: Press = Press::Named(KeyCode::Enter);
const ESC: Press = Press::Named(KeyCode::Esc);
const UP: Press = Press::Named(KeyCode::Up);
const DOWN: Press = Press::Named(KeyCode::Down);
const PAGE_UP: Press = Press::Named(KeyCode::PageUp);
const PAGE_DOWN: Press = Press::Named(KeyCode::PageDown);

/// Every key, in the order of the footer and the help.
#[rustfmt::skip]
pub(super) const KEYS: &[Binding] = &[
    key(Scope::Leave, Action::Yes, &[Press::Char('y'), Press::Char('q')], "stop the run and leave", "Stop the run and leave"),
    key(Scope::Leave, Action::No, &[Press::Char('n'), ESC], "stay", "Stay"),

    key(Scope::Question, Action::AllowOnce, &[Press::Char('a')], "allow", "Allow this one call"),
    key(Scope::Question, Action::DenyOnce, &[Press::Char('d')], "deny", "Deny this one call"),
    key(Scope::Question, Action::AllowMore, &[Press::Char('A')], "allow…", "Allow the same again: in this process tree, or in this run"),
    key(Scope::Question, Action::DenyMore, &[Press::Char('D')], "deny…", "Deny the same again: in this process tree, or in this run"),
    key(Scope::Question, Action::SaveAllow, &[Press::Char('s')], "save allow", "Save a policy line that allows it; the line is shown first"),
    key(Scope::Question, Action::SaveDeny, &[Press::Char('S')], "save deny", "Save a policy line that denies it; the line is shown first"),
    key(Scope::Question, Action::KillTree, &[Press::Char('k')], "kill…", "Deny, and end the process tree; asks once more (↑ still moves up)"),
    key(Scope::Reach, Action::ForTree, &[Press::Char('t')], "this process tree", "For the tree below the process that started this one"),
    key(Scope::Reach, Action::ForRun, &[Press::Char('r')], "this run", "Until the run ends"),
    key(Scope::Reach, Action::NotYet, &[ESC, Press::Char('n')], "back", "Back to the question"),
    key(Scope::Kill, Action::KillNow, &[Press::Char('y')], "end the process tree", "End the process tree"),
    key(Scope::Kill, Action::NotYet, &[ESC, Press::Char('n')], "back", "Back to the question"),
    key(Scope::Save, Action::SaveLine, &[ENTER], "save, and answer with it", "Save the line, and answer the question with it"),
    key(Scope::Save, Action::NotYet, &[ESC], "back", "Back to the question; nothing is saved"),

    key(Scope::Palette, Action::Choose, &[ENTER], "do it", "Do what is chosen"),
    key(Scope::Palette, Action::Cancel, &[ESC], "close", "Close"),
    key(Scope::Palette, Action::Earlier, &[UP, Press::Ctrl('p')], "choose", "The line above"),
    key(Scope::Palette, Action::Later, &[DOWN, Press::Ctrl('n')], "choose", "The line below"),

    key(Scope::Input, Action::Apply, &[ENTER], "apply", "Apply the filter, or keep the note"),
    key(Scope::Input, Action::Cancel, &[ESC], "cancel", "Leave it as it was"),
    key(Scope::Input, Action::Earlier, &[UP], "saved", "The saved filter before"),
    key(Scope::Input, Action::Later, &[DOWN], "saved", "The saved filter behind"),
    key(Scope::Input, Action::Keep, &[Press::Ctrl('s')], "save", "Save the filter for other traces, or no longer"),
    key(Scope::Edit, Action::Complete, &[Press::Named(KeyCode::Tab)], "complete", "Complete the name of a field, or a value that the trace has"),
    key(Scope::Edit, Action::Left, &[Press::Named(KeyCode::Left), Press::Ctrl('b')], "", "One character left"),
    key(Scope::Edit, Action::Right, &[Press::Named(KeyCode::Right), Press::Ctrl('f')], "", "One character right"),
    key(Scope::Edit, Action::LineStart, &[Press::Named(KeyCode::Home), Press::Ctrl('a')], "", "To the start of the line"),
    key(Scope::Edit, Action::LineEnd, &[Press::Named(KeyCode::End), Press::Ctrl('e')], "", "To the end of the line"),
    key(Scope::Edit, Action::Erase, &[Press::Named(KeyCode::Backspace), Press::Ctrl('h')], "", "Remove the character before the cursor"),
    key(Scope::Edit, Action::EraseNext, &[Press::Named(KeyCode::Delete), Press::Ctrl('d')], "", "Remove the character at the cursor"),
    key(Scope::Edit, Action::EraseWord, &[Press::Ctrl('w')], "", "Remove the word before the cursor"),
    key(Scope::Edit, Action::EraseAll, &[Press::Ctrl('u')], "clear", "Remove everything"),

    key(Scope::Rows, Action::Open, &[ENTER], "open", "Open what is selected: why, and the very events"),
    key(Scope::Processes, Action::EndTree, &[Press::Char('K')], "", "End the selected process and all below it; asks once more"),
    key(Scope::Tree, Action::Fold, &[Press::Char('h'), Press::Char('-')], "fold", "Fold what is selected, or go to its parent"),
    key(Scope::Tree, Action::Unfold, &[Press::Char('l'), Press::Char('+')], "fold", "Unfold what is selected"),
    key(Scope::Rows, Action::Down, &[Press::Char('j'), DOWN], "", "One row down"),
    key(Scope::Rows, Action::Up, &[Press::Char('k'), UP], "", "One row up"),
    key(Scope::Rows, Action::PageUp, &[PAGE_UP, Press::Ctrl('b')], "", "One page up"),
    key(Scope::Rows, Action::PageDown, &[PAGE_DOWN, Press::Ctrl('f')], "", "One page down"),
    key(Scope::Rows, Action::Top, &[Press::Char('g')], "", "First row"),
    key(Scope::Rows, Action::Bottom, &[Press::Char('G')], "", "Last row"),
    key(Scope::Rows, Action::Copy, &[Press::Char('y')], "copy", "Copy what is selected (escaped text)"),
    key(Scope::Moments, Action::GoThere, &[Press::Char('m')], "go there", "Move the playhead to what is selected: an event, a finding's first one, a start, a first attempt"),

    key(Scope::Overlay, Action::Close, &[ESC, Press::Char('q'), ENTER], "close", "Close"),
    key(Scope::Overlay, Action::Copy, &[Press::Char('y')], "copy", "Copy what is shown (escaped text)"),
    key(Scope::Scroll, Action::Down, &[Press::Char('j'), DOWN], "scroll", "One line down"),
    key(Scope::Scroll, Action::Up, &[Press::Char('k'), UP], "scroll", "One line up"),
    key(Scope::Scroll, Action::PageUp, &[PAGE_UP, Press::Ctrl('b')], "", "One page up"),
    key(Scope::Scroll, Action::PageDown, &[PAGE_DOWN, Press::Ctrl('f')], "", "One page down"),
    key(Scope::Scroll, Action::Top, &[Press::Char('g')], "", "First line"),
    key(Scope::Scroll, Action::Bottom, &[Press::Char('G')], "", "Last line; the terminal output follows again"),

    key(Scope::Timeline, Action::Start, &[Press::Char('g')], "start", "Go to the start"),
    key(Scope::Timeline, Action::Follow, &[Press::Char('G')], "end", "Go to the end and follow"),

    key(Scope::Global, Action::NextPane, &[Press::Named(KeyCode::Tab)], "pane", "Next pane"),
    key(Scope::Global, Action::PreviousPane, &[Press::Named(KeyCode::BackTab)], "", "Previous pane"),
    key(Scope::Global, Action::PlayPause, &[Press::Char(' ')], "play/pause", "Pause the view here, or play on from here; the guest goes on"),
    key(Scope::Global, Action::Freeze, &[Press::Char('p')], "freeze", "Stop the guest, or let it go on: no time passes in it; in a recording: pause"),
    key(Scope::Global, Action::Back, &[Press::Named(KeyCode::Left)], "5 s", "Five seconds back"),
    key(Scope::Global, Action::Forward, &[Press::Named(KeyCode::Right)], "5 s", "Five seconds forward"),
    key(Scope::Global, Action::StepBack, &[Press::Char(',')], "step", "One event back"),
    key(Scope::Global, Action::StepForward, &[Press::Char('.')], "step", "One event forward"),
    key(Scope::Global, Action::PreviousFinding, &[Press::Char('[')], "finding", "Previous finding"),
    key(Scope::Global, Action::NextFinding, &[Press::Char(']')], "finding", "Next finding"),
    key(Scope::Global, Action::Tenth, &[Press::Digit], "", "To this tenth of the recording"),
    key(Scope::Global, Action::Slower, &[Press::Char('<')], "speed", "Play slower (down to a quarter)"),
    key(Scope::Global, Action::Faster, &[Press::Char('>')], "speed", "Play faster (up to 64 times)"),
    key(Scope::Global, Action::Start, &[Press::Named(KeyCode::Home)], "", "To the start"),
    key(Scope::Global, Action::Follow, &[Press::Named(KeyCode::End)], "", "To the end, and follow"),
    key(Scope::Global, Action::Filter, &[Press::Char('/')], "filter", "Filter the events by a condition: evt.type = open and fd.name contains .ssh"),
    key(Scope::Global, Action::NextMatch, &[Press::Char('n')], "match", "Next event that the filter leaves"),
    key(Scope::Global, Action::PreviousMatch, &[Press::Char('N')], "match", "Previous event that the filter leaves"),
    key(Scope::Global, Action::ClearFilter, &[ESC], "", "Clear the filter"),
    key(Scope::Global, Action::Palette, &[Press::Char(':'), Press::Ctrl('p')], "commands", "Find a command by a few letters"),
    key(Scope::Global, Action::Zoom, &[Press::Char('z')], "zoom", "This pane alone, and back"),
    key(Scope::Global, Action::Wider, &[Press::Char('L')], "", "Make this pane wider, where panes stand side by side"),
    key(Scope::Global, Action::Narrower, &[Press::Char('H')], "", "Make this pane narrower"),
    key(Scope::Global, Action::Taller, &[Press::Char('^')], "", "Make this pane taller"),
    key(Scope::Global, Action::Lower, &[Press::Char('_')], "", "Make this pane lower"),
    key(Scope::Global, Action::Only, &[Press::Char('f')], "", "Files, network and events of the selected process, and of what it started, alone; and back"),
    key(Scope::Global, Action::Mark, &[Press::Char('b')], "", "Put a bookmark at the selected event or at this moment, or take it away"),
    key(Scope::Global, Action::Note, &[Press::Char('B')], "", "Put a bookmark with a note"),
    key(Scope::Global, Action::PreviousMark, &[Press::Char('{')], "", "Previous bookmark"),
    key(Scope::Global, Action::NextMark, &[Press::Char('}')], "", "Next bookmark"),
    key(Scope::Global, Action::Other, &[Press::Char('P')], "", "What another policy would have decided (--policy)"),
    key(Scope::Global, Action::PreviousOther, &[Press::Char('(')], "", "Previous decision that another policy makes otherwise"),
    key(Scope::Global, Action::NextOther, &[Press::Char(')')], "", "Next decision that another policy makes otherwise"),
    key(Scope::Global, Action::Verdict, &[Press::Char('v')], "verdict", "Why the verdict is what it is"),
    key(Scope::Global, Action::Events, &[Press::Char('e')], "events", "The list of events, and back"),
    key(Scope::Global, Action::Output, &[Press::Char('o')], "output", "What the code wrote to its terminal, and back"),
    key(Scope::Global, Action::Questions, &[Press::Char('w')], "", "What was asked, and the answers"),
    key(Scope::Global, Action::Timeline, &[Press::Char('t')], "timeline", "To the timeline, and back"),
    key(Scope::Global, Action::Help, &[Press::Char('?')], "help", "This help"),
    key(Scope::Global, Action::Quit, &[Press::Char('q')], "quit", "Leave"),
    key(Scope::Diff, Action::NextMatch, &[Press::Char('n'), Press::Char(']')], "difference", "Next line that differs"),
    key(Scope::Diff, Action::PreviousMatch, &[Press::Char('N'), Press::Char('[')], "difference", "Line before that differs"),
    key(Scope::Diff, Action::NextPane, &[Press::Named(KeyCode::Tab)], "kind", "Next kind of things"),
    key(Scope::Diff, Action::PreviousPane, &[Press::Named(KeyCode::BackTab)], "", "Kind of things before"),
    key(Scope::Diff, Action::Same, &[Press::Char('=')], "same", "Show what is the same in both, or fold it"),
    key(Scope::Diff, Action::Filter, &[Press::Char('/')], "filter", "Show only lines with these words in them"),
    key(Scope::Diff, Action::ClearFilter, &[ESC], "", "Clear the filter"),
    key(Scope::Diff, Action::Help, &[Press::Char('?')], "help", "This help"),
    key(Scope::Diff, Action::Quit, &[Press::Char('q')], "quit", "Leave"),
    key(Scope::Always, Action::Suspend, &[Press::Ctrl('z')], "", "Back to the shell for a while (fg comes back); in a run only while the guest is frozen"),
    key(Scope::Always, Action::Interrupt, &[Press::Ctrl('c')], "", "Stop the run; once it is over: leave"),
];

/// What a key means where these scopes hold.
pub(super) fn find(scopes: &[Scope], event: &KeyEvent) -> Option<Action> {
    in_scopes(scopes)
        .find(|binding| binding.presses.iter().any(|press| press.is(event)))
        .map(|binding| binding.action)
}

/// The rows of the table that hold there, in the footer's order.
pub(super) fn in_scopes(scopes: &[Scope]) -> impl Iterator<Item = &'static Binding> {
    KEYS.iter()
        .filter(move |binding| scopes.contains(&binding.scope))
}
