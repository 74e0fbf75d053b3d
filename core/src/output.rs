//! Output as a terminal leaves it: of a progress bar the log keeps the last state.
//!
//! Each stream has a small screen of its own. A line that ends is written at once and forgotten. Only where a program
//! moves the cursor up, as nested progress bars do, the lines from there down are held until it goes on below them.
//! Memory stays flat whatever is printed.

use std::collections::{BTreeMap, VecDeque};

use crate::error::PortError;

/// Where the folded text goes.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), PortError> + 'a;

/// Bytes that are held for one stream; longer lines are written in pieces.
const MOST_HELD: usize = 1 << 20;
/// The same for one stream of a child, of which there may be many.
const MOST_HELD_OF_A_CHILD: usize = 32 << 10;
/// Lines that a cursor can go up.
const MOST_ROWS: usize = 32;
/// Bytes of a title or the like. What goes on for longer is no such thing, or its end was lost.
const LONGEST_STRING: usize = 4 << 10;
/// Bytes of any other escape sequence.
const LONGEST_SEQUENCE: usize = 64;

/// Which stream of which process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// 0 for the process that started the run, else the number of the child.
    pub process: u32,
    /// 1 stdout, 2 stderr.
    pub stream: u8,
}

/// Folds the output of one run, that of its children too.
#[derive(Debug, Default)]
pub struct Folder {
    screens: BTreeMap<Origin, Screen>,
    /// The stream whose line was begun and not ended.
    open: Option<Origin>,
}

impl Folder {
    /// Without any output yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of a stream, cut anywhere, and gives the lines that it ends to the sink.
    ///
    /// # Errors
    /// Those of the sink; the rest of the piece is lost then.
    pub fn feed(&mut self, origin: Origin, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), PortError> {
        let Self { screens, open } = self;
        let screen = screens
            .entry(origin)
            .or_insert_with(|| Screen::new(if origin.process == 0 { MOST_HELD } else { MOST_HELD_OF_A_CHILD }));
        screen.feed(bytes, &mut |text| emit(open, origin, text, sink))
    }

    /// Gives what no newline ended.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(self, sink: &mut Sink<'_>) -> Result<(), PortError> {
        let Self { screens, mut open } = self;
        for (origin, mut screen) in screens {
            screen.flush(&mut |text| emit(&mut open, origin, text, sink))?;
            let last = screen.rows.swap_remove(0);
            emit(&mut open, origin, last.visible(), sink)?;
        }
        Ok(())
    }
}

/// Bytes of each end of a long log that are kept.
const LOG_END: usize = 8 << 20;

/// A log of bounded length on its way to where it is kept: of a long one its beginning and its end.
#[derive(Debug)]
pub struct Bounded {
    end: usize,
    /// Bytes of the beginning that were handed on.
    head: usize,
    /// The last bytes behind that; the older half is let go of when it is twice as long as it need be.
    tail: Vec<u8>,
    left_out: u64,
}

impl Default for Bounded {
    fn default() -> Self {
        Self::new(LOG_END)
    }
}

impl Bounded {
    fn new(end: usize) -> Self {
        Self { end, head: 0, tail: Vec::new(), left_out: 0 }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write(&mut self, mut text: &[u8], sink: &mut Sink<'_>) -> Result<(), PortError> {
        if self.head < self.end {
            let (head, rest) = text.split_at(text.len().min(self.end - self.head));
            self.head += head.len();
            sink(head)?;
            text = rest;
        }
        self.tail.extend_from_slice(text);
        if self.tail.len() > 2 * self.end {
            self.shorten();
        }
        Ok(())
    }

    fn shorten(&mut self) {
        let more = self.tail.len().saturating_sub(self.end);
        self.tail.drain(..more);
        self.left_out += more as u64;
    }

    /// Gives the end, and says how much is left out before it.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> Result<(), PortError> {
        self.shorten();
        if self.left_out > 0 {
            // From the next line on, if one begins soon.
            let line = self.tail.iter().take(64 << 10).position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            self.left_out += line as u64;
            self.tail.drain(..line);
            sink(format!("\n[… {} bytes are left out …]\n", self.left_out).as_bytes())?;
        }
        sink(&self.tail)
    }
}

/// Output that a journal has no room for: the last of it, in the order of printing.
#[derive(Debug, Default)]
pub struct Overflow {
    pieces: VecDeque<(u8, Vec<u8>)>,
    bytes: usize,
    /// What was let go of.
    pub left_out: u64,
}

impl Overflow {
    /// Takes a piece: to which stream it was printed, and what.
    pub fn push(&mut self, stream: u8, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(LOG_END)..];
        self.left_out += (bytes.len() - kept.len()) as u64;
        self.bytes += kept.len();
        match self.pieces.back_mut() {
            // A print of one character must not cost an allocation that outweighs it.
            Some((last, piece)) if *last == stream && piece.len() + kept.len() <= 64 << 10 => {
                piece.extend_from_slice(kept);
            }
            _ => self.pieces.push_back((stream, kept.to_vec())),
        }
        while self.bytes > LOG_END {
            let Some((_, oldest)) = self.pieces.pop_front() else { break };
            self.bytes -= oldest.len();
            self.left_out += oldest.len() as u64;
        }
    }

    /// The next piece, oldest first.
    pub fn pop(&mut self) -> Option<(u8, Vec<u8>)> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.1.len();
        Some(piece)
    }
}

/// Writes text of one stream without tearing the line that the other has begun.
fn emit(open: &mut Option<Origin>, origin: Origin, text: &[u8], sink: &mut Sink<'_>) -> Result<(), PortError> {
    let Some(last) = text.last() else { return Ok(()) };
    if open.is_some_and(|open| open != origin) {
        sink(b"\n")?;
    }
    *open = (*last != b'\n').then_some(origin);
    sink(text)
}

/// A line on the screen.
#[derive(Debug, Default)]
struct Row {
    text: Vec<u8>,
    /// Where the next character goes. It replaces all from there on: what a shorter state leaves of a longer one is
    /// noise.
    cursor: usize,
    /// Whether something was replaced.
    overwritten: bool,
    /// Whether the line was written already and nothing came since: the cursor passed it going up.
    written: bool,
}

impl Row {
    fn ghost() -> Self {
        Self { written: true, ..Self::default() }
    }

    fn print(&mut self, text: &[u8]) {
        self.erase();
        self.text.extend_from_slice(text);
        self.cursor = self.text.len();
        self.written = false;
    }

    /// Erases from the cursor on.
    fn erase(&mut self) {
        self.overwritten |= self.cursor < self.text.len();
        self.text.truncate(self.cursor);
    }

    fn backspace(&mut self) {
        // Over one character, not one byte.
        while self.cursor > 0 {
            self.cursor -= 1;
            if self.text[self.cursor] & 0xc0 != 0x80 {
                break;
            }
        }
    }

    /// The text without the spaces by which progress bars blank out what they leave.
    fn visible(&self) -> &[u8] {
        if self.overwritten {
            let spaces = self.text.iter().rev().take_while(|byte| **byte == b' ').count();
            &self.text[..self.text.len() - spaces]
        } else {
            &self.text
        }
    }
}

/// Where in an escape sequence the stream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and the like of `(`, which one more byte ends.
    Charset,
    /// After `ESC [`: the number given first, and whether it is complete.
    Control { number: usize, complete: bool, length: usize },
    /// In a title (`ESC ]`) and the like.
    String { length: usize },
    /// In such, after an ESC that may end it.
    StringEscape { length: usize },
}

#[derive(Debug)]
struct Screen {
    /// Never empty.
    rows: Vec<Row>,
    /// The cursor's.
    at: usize,
    held: usize,
    most_held: usize,
    state: State,
}

impl Screen {
    fn new(most_held: usize) -> Self {
        Self { rows: vec![Row::default()], at: 0, held: 0, most_held, state: State::Text }
    }

    fn feed(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), PortError> {
        while let Some(first) = bytes.first() {
            let printable = match self.state {
                State::Text => {
                    bytes.iter().take_while(|byte| **byte >= b' ' && **byte != 0x7f || **byte == b'\t').count()
                }
                _ => 0,
            };
            let taken = if printable == 0 {
                self.control(*first, sink)?;
                1
            } else {
                self.print(&bytes[..printable], sink)?
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Prints as much as may be held, and says how much that was.
    fn print(&mut self, text: &[u8], sink: &mut Sink<'_>) -> Result<usize, PortError> {
        let row = &mut self.rows[self.at];
        let before = row.text.len();
        row.erase();
        self.held -= before - row.text.len();
        let taken = text.len().min(self.most_held - self.held);
        row.print(&text[..taken]);
        self.held += taken;
        if self.held == self.most_held {
            self.flush(sink)?;
            // The rest of the line follows its beginning: the piece is written as it stands.
            let row = std::mem::take(&mut self.rows[0]);
            self.held = 0;
            sink(&row.text)?;
        }
        Ok(taken)
    }

    fn control(&mut self, byte: u8, sink: &mut Sink<'_>) -> Result<(), PortError> {
        let in_string =
            |length| if length < LONGEST_STRING { State::String { length: length + 1 } } else { State::Text };
        self.state = match (self.state, byte) {
            (State::StringEscape { .. }, b'\\') => State::Text,
            // A new sequence begins wherever it stands, and a newline ends what never came to its end: a stray escape
            // must not swallow the log.
            (State::String { length }, 0x1b) => State::StringEscape { length },
            (_, 0x1b) => State::Escape,
            (_, b'\n') => {
                self.newline(sink)?;
                State::Text
            }
            (State::String { .. }, 0x07) => State::Text,
            (State::String { length } | State::StringEscape { length }, _) => in_string(length),
            (State::Escape, b'[') => State::Control { number: 0, complete: false, length: 0 },
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::String { length: 0 },
            (State::Escape, b' '..=b'/') => State::Charset,
            (State::Escape | State::Charset, b' '..=b'~') => State::Text,
            (State::Control { number, complete, .. }, b'@'..=b'~') => {
                self.sequence(byte, number, complete);
                State::Text
            }
            (State::Control { number, complete, length }, b' '..=b'?') if length < LONGEST_SEQUENCE => {
                let (number, complete) = match byte {
                    b'0'..=b'9' if !complete => {
                        (number.saturating_mul(10).saturating_add(usize::from(byte - b'0')), false)
                    }
                    _ => (number, true),
                };
                State::Control { number, complete, length: length + 1 }
            }
            (_, b'\r') => {
                self.rows[self.at].cursor = 0;
                State::Text
            }
            (_, 0x08) => {
                self.rows[self.at].backspace();
                State::Text
            }
            (State::Text, _) => State::Text,
            // The sequence was none. What ended it is text, if it is printable at all.
            (_, b'\t' | b' '..=b'~' | 0x80..) => {
                self.state = State::Text;
                self.print(&[byte], sink)?;
                State::Text
            }
            _ => State::Text,
        };
        Ok(())
    }

    /// Does what a control sequence asks for, if it is about lines. Colours and the rest leave no trace.
    fn sequence(&mut self, last: u8, number: usize, private: bool) {
        match last {
            b'A' => self.up(number.max(1)),
            b'F' => {
                self.up(number.max(1));
                self.rows[self.at].cursor = 0;
            }
            b'B' | b'E' => {
                self.at = self.at.saturating_add(number.max(1)).min(self.rows.len() - 1);
                if last == b'E' {
                    self.rows[self.at].cursor = 0;
                }
            }
            b'G' if number <= 1 => self.rows[self.at].cursor = 0,
            b'J' if number == 0 && !private => {
                self.rows.truncate(self.at + 1);
                self.rows[self.at].erase();
            }
            b'K' if !private => {
                let row = &mut self.rows[self.at];
                match number {
                    0 => row.erase(),
                    2 => {
                        row.cursor = 0;
                        row.erase();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        self.held = self.rows.iter().map(|row| row.text.len()).sum();
    }

    fn up(&mut self, rows: usize) {
        let above = rows.saturating_sub(self.at).min(MOST_ROWS.saturating_sub(self.rows.len()));
        self.at = self.at.saturating_sub(rows);
        self.rows.splice(0..0, std::iter::repeat_with(Row::ghost).take(above));
    }

    fn newline(&mut self, sink: &mut Sink<'_>) -> Result<(), PortError> {
        if self.at + 1 < self.rows.len() {
            self.at += 1;
            self.rows[self.at].cursor = 0;
            return Ok(());
        }
        self.rows.push(Row::default());
        self.flush(sink)
    }

    /// Writes all lines but the last.
    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<(), PortError> {
        let last = self.rows.pop().unwrap_or_default();
        // Of lines that the cursor came back to, those blanked out are bars that were taken away.
        let alone = self.rows.len() == 1;
        for mut row in self.rows.drain(..) {
            let visible = row.visible().len();
            row.text.truncate(visible);
            if !row.written && (alone || visible > 0 || !row.overwritten) {
                row.text.push(b'\n');
                sink(&row.text)?;
            }
        }
        self.held = last.text.len();
        self.rows.push(last);
        self.at = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(stream: u8) -> Origin {
        Origin { process: 0, stream }
    }

    /// What becomes of the pieces.
    fn fold<'a>(pieces: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
        let mut log = Vec::new();
        let mut sink = |text: &[u8]| {
            log.extend_from_slice(text);
            Ok(())
        };
        let mut folder = Folder::new();
        for (stream, bytes) in pieces {
            folder.feed(of(stream), bytes, &mut sink).expect("the sink takes all");
        }
        folder.finish(&mut sink).expect("the sink takes all");
        log
    }

    fn one(text: &str) -> String {
        String::from_utf8(fold([(1, text.as_bytes())])).expect("UTF-8")
    }

    #[test]
    fn of_a_progress_bar_the_last_state_stays() {
        assert_eq!(one("start\n  0%|   |\r 50%|█  |\r100%|███|\ndone\n"), "start\n100%|███|\ndone\n");
        assert_eq!(one("100%|███|\r"), "100%|███|");
        assert_eq!(one("long text\rshort\r\n"), "short\n");
        assert_eq!(one("a\r\nb\r\r\n"), "a\nb\n");
        assert_eq!(one("bar\r      \rnext\n"), "next\n");
    }

    #[test]
    fn backspaces_fold() {
        assert_eq!(one("10%\u{8}\u{8}\u{8}20%\n"), "20%\n");
        assert_eq!(one("aé\u{8}b\n"), "ab\n");
        assert_eq!(one("\u{8}\u{8}a\u{8}\n"), "a\n");
    }

    #[test]
    fn escape_sequences_are_removed() {
        assert_eq!(
            one(
                "\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}]8;;https://a\u{1b}\\link\u{1b}]8;;\u{1b}\\\u{1b}(B\u{1b}[?25l\u{7}\0\n"
            ),
            "red xlink\n"
        );
        assert_eq!(one("old\r\u{1b}[Knew\n"), "new\n");
        assert_eq!(one("old\u{1b}[2Knew\n"), "new\n");
        assert_eq!(one("a\u{1b}]lost\nkept\u{1b}[1"), "a\nkept");
    }

    #[test]
    fn nested_bars_leave_their_last_states() {
        let mut text = String::from("outer 0\r");
        for outer in 1..=3 {
            for inner in 0..=9 {
                text += &format!("\n\rinner {inner}\u{1b}[A");
            }
            text += &format!("\n\r       \r\u{1b}[A\router {outer}");
        }
        text += "\ndone\n";
        assert_eq!(one(&text), "outer 0\nouter 3\ndone\n");
    }

    #[test]
    fn a_display_that_is_drawn_anew_leaves_its_last_state() {
        let again = "\r\u{1b}[2K\u{1b}[1A\u{1b}[2K\u{1b}[1A\u{1b}[2K";
        assert_eq!(
            one(&format!("a 1\nb 1\nc 1{again}a 2\nb 2\nc 2{again}a 3\nb 3\nc 3\nend\n")),
            "a 1\nb 1\na 3\nb 3\nc 3\nend\n"
        );
        assert_eq!(one("x\u{1b}[99999999999999999999Ay\n\u{1b}[5Bz"), "y\nz\nx");
    }

    #[test]
    fn streams_fold_apart_and_lines_stay_whole() {
        let pieces: [(u8, &[u8]); 5] = [(1, b"one "), (2, b"10%\r"), (1, b"line\n"), (2, b"20%"), (1, b"end")];
        assert_eq!(fold(pieces), b"one line\nend\n20%");
    }

    proptest! {
        #[test]
        fn of_a_long_log_both_ends_stay(pieces in prop::collection::vec("[a-c\n]{0,40}", 0..20), end in 1usize..50) {
            let all: String = pieces.concat();
            let mut log = Vec::new();
            let mut bounded = Bounded::new(end);
            let mut sink = |text: &[u8]| {
                log.extend_from_slice(text);
                Ok(())
            };
            for piece in &pieces {
                bounded.write(piece.as_bytes(), &mut sink).expect("the sink takes all");
            }
            bounded.finish(&mut sink).expect("the sink takes all");
            let log = String::from_utf8(log).expect("UTF-8");
            match log.split_once("\n[… ") {
                None => prop_assert_eq!(&log, &all),
                Some((head, rest)) => {
                    let (count, tail) = rest.split_once(" bytes are left out …]\n").expect("the mark is whole");
                    let left_out: usize = count.parse().expect("a number");
                    prop_assert!(head.len() == end && tail.len() <= end && left_out > 0);
                    prop_assert!(all.starts_with(head) && all.ends_with(tail));
                    prop_assert_eq!(head.len() + left_out + tail.len(), all.len());
                }
            }
        }

        #[test]
        fn what_a_journal_has_no_room_for_stays_in_order(pieces in prop::collection::vec((1u8..3, "[a-z]{0,9}"), 0..30)) {
            let mut overflow = Overflow::default();
            for (stream, text) in &pieces {
                overflow.push(*stream, text.as_bytes());
            }
            let mut came = Vec::new();
            while let Some((stream, text)) = overflow.pop() {
                came.extend(text.into_iter().map(|byte| (stream, byte)));
            }
            let went: Vec<_> = pieces.iter().flat_map(|(stream, text)| text.bytes().map(|byte| (*stream, byte))).collect();
            prop_assert_eq!(came, went);
        }
    }

    #[test]
    fn a_long_line_is_written_in_pieces() {
        let long = vec![b'x'; MOST_HELD + 10];
        let mut most = 0;
        let mut folder = Folder::new();
        let mut sink = |text: &[u8]| {
            most = most.max(text.len());
            Ok(())
        };
        folder.feed(of(1), &long, &mut sink).expect("the sink takes all");
        folder.finish(&mut sink).expect("the sink takes all");
        assert_eq!(most, MOST_HELD);
        let cut = fold([(1, &long[..]), (2, b"other\n"), (1, b"y\n")]);
        assert_eq!(&cut[MOST_HELD..], b"\nother\nxxxxxxxxxxy\n");
    }

    #[test]
    fn a_failing_sink_is_heard() {
        let mut sink = |_: &[u8]| Err(PortError::NoSpace("full".to_owned()));
        assert_eq!(Folder::new().feed(of(1), b"a\n", &mut sink), Err(PortError::NoSpace("full".to_owned())));
    }

    fn odd() -> impl Strategy<Value = Vec<u8>> {
        let pieces: &[&[u8]] = &[
            b"\r",
            b"\n",
            b"\r\n",
            b"\x08",
            b"\x1b",
            b"\x1b[A",
            b"\x1b[3A",
            b"\x1b[2K",
            b"\x1b[K",
            b"\x1b[J",
            b"\x1b[B",
            b"\x1b[E",
            b"\x1b[F",
            b"\x1b]",
            b"\x07",
            b"\\",
            b"\xff",
            "é".as_bytes(),
            b"word",
            b"   ",
            b"[",
            b"1",
            b"\t",
        ];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn where_the_output_is_cut_does_not_matter(
            text in odd(),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..5),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let whole = fold([(1, &text[..])]);
            prop_assert_eq!(&fold(cuts.windows(2).map(|cut| (1, &text[cut[0]..cut[1]]))), &whole);
            prop_assert_eq!(&fold(text.chunks(1).map(|byte| (1, byte))), &whole);
            prop_assert!(!whole.iter().any(|byte| matches!(byte, b'\r' | 0x08 | 0x1b)));
        }

        #[test]
        fn plain_text_passes(text in "([^\\p{Cc}]|\t|\n){0,60}", bytes in proptest::collection::vec(0x80u8.., 0..20)) {
            prop_assert_eq!(one(&text), text);
            prop_assert_eq!(fold([(2, &bytes[..])]), bytes);
        }

        #[test]
        fn lines_of_two_streams_all_come_through_whole(
            lines in proptest::collection::vec((1u8..3, "[a-z]{0,5}"), 0..12),
            size in 1usize..4,
        ) {
            let texts = [1, 2].map(|stream| {
                lines.iter().filter(|(of, _)| *of == stream).map(|(of, line)| format!("{of}{line}\n")).collect::<String>()
            });
            let longest = texts[0].len().max(texts[1].len());
            let mut pieces = Vec::new();
            for at in (0..longest).step_by(size) {
                for (stream, text) in [1, 2].into_iter().zip(&texts) {
                    let text = text.as_bytes();
                    pieces.push((stream, &text[at.min(text.len())..(at + size).min(text.len())]));
                }
            }
            let log = String::from_utf8(fold(pieces)).expect("UTF-8");
            for (stream, text) in ["1", "2"].into_iter().zip(&texts) {
                let of_stream: String = log.split_inclusive('\n').filter(|line| line.starts_with(stream)).collect();
                prop_assert_eq!(&of_stream, text);
            }
        }
    }
}
