//! Columns that stand under each other.

use std::io::{self, Write};

use clap::builder::styling::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::escape;
use super::style::{self, Palette};

const GAP: usize = 2;
const MISSING: &str = "-";
/// Room that a column of texts keeps when others need more.
const NARROWEST: usize = 8;

/// What stands in a column, on one line.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    right: bool,
    style: Option<Style>,
}

impl Cell {
    /// Whatever the text is, it can't deceive.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self { text: escape::text(text.as_ref()).into_owned(), right: false, style: None }
    }

    /// To the right, as numbers are read.
    pub(crate) fn number(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    /// In a style, if any.
    pub(crate) fn styled(self, style: Option<Style>) -> Self {
        Self { style, ..self }
    }
}

/// A heading and a cell for each row.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    heading: Cell,
    cells: Vec<Cell>,
    width: usize,
}

impl Column {
    /// A cell that is missing is a dash; an empty heading is none.
    pub(crate) fn new(heading: &str, cells: impl IntoIterator<Item = Option<Cell>>) -> Self {
        let cells: Vec<_> = cells.into_iter().collect();
        // Numbers go to the right wherever they stand; what is missing and the heading follow the rest of the column.
        let right = cells.iter().flatten().all(|cell| cell.right) && cells.iter().any(Option::is_some);
        let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| Cell { right, ..Cell::text(MISSING) }));
        let heading = Cell { right, ..Cell::text(heading).styled(Some(style::HEADING)) };
        Self::measured(heading, cells.collect())
    }

    /// Texts that are wider are cut.
    pub(crate) fn cut(self, widest: usize) -> Self {
        let narrow = |cell: Cell| Cell { text: cut(cell.text, widest), ..cell };
        Self::measured(narrow(self.heading), self.cells.into_iter().map(narrow).collect())
    }

    /// What the column is called.
    pub(crate) fn heading(&self) -> &str {
        &self.heading.text
    }

    fn measured(heading: Cell, cells: Vec<Cell>) -> Self {
        let width = cells.iter().chain([&heading]).map(|cell| cell.text.width()).max().unwrap_or(0);
        Self { heading, cells, width }
    }

    fn is_text(&self) -> bool {
        self.cells.iter().any(|cell| !cell.right)
    }
}

/// Columns as they are written.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    palette: Palette,
    indent: usize,
}

impl Grid {
    /// All columns must have as many cells.
    pub(crate) fn new(columns: Vec<Column>, palette: Palette) -> Self {
        Self { columns, palette, indent: 0 }
    }

    /// Begins each line with so many blanks.
    pub(crate) fn indented(self, indent: usize) -> Self {
        Self { indent, ..self }
    }

    /// Cuts the widest texts until lines fit so many columns of a terminal, if there is a limit.
    pub(crate) fn squeezed(self, room: Option<usize>) -> Self {
        let Some(room) = room else { return self };
        let gaps = self.indent + GAP * self.columns.len().saturating_sub(1);
        let width = |column: &Column, most: usize| if column.is_text() { column.width.min(most) } else { column.width };
        let fits = |most: &usize| gaps + self.columns.iter().map(|column| width(column, *most)).sum::<usize>() <= room;
        let most = (NARROWEST..=room).rev().find(fits).unwrap_or(NARROWEST);
        let squeeze = |column: Column| if width(&column, most) < column.width { column.cut(most) } else { column };
        Self { columns: self.columns.into_iter().map(squeeze).collect(), ..self }
    }

    /// The headings, then the rows.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(self.line(|column| &column.heading).as_bytes())?;
        self.write_rows(out)
    }

    /// The rows alone.
    pub(crate) fn write_rows(&self, out: &mut dyn Write) -> io::Result<()> {
        (0..self.columns.first().map_or(0, |column| column.cells.len())).try_for_each(|at| self.write_row(out, at))
    }

    /// One of the rows.
    pub(crate) fn write_row(&self, out: &mut dyn Write, at: usize) -> io::Result<()> {
        out.write_all(self.line(|column| &column.cells[at]).as_bytes())
    }

    fn line<'a>(&'a self, cell: impl Fn(&'a Column) -> &'a Cell) -> String {
        let mut line = String::new();
        // Blanks are written only before text, so that no line ends in them.
        let mut blanks = self.indent;
        for column in &self.columns {
            let cell = cell(column);
            let rest = column.width.saturating_sub(cell.text.width());
            let (before, after) = if cell.right { (rest, 0) } else { (0, rest) };
            blanks += before;
            if !cell.text.is_empty() {
                line.extend(std::iter::repeat_n(' ', blanks));
                match cell.style {
                    Some(style) => line += &self.palette.paint(style, &cell.text),
                    None => line += &cell.text,
                }
                blanks = 0;
            }
            blanks += after + GAP;
        }
        line.push('\n');
        line
    }
}

/// The number of columns, from the left, for which there is room: the first at least.
pub(crate) fn fitting(columns: &[Column], room: usize) -> usize {
    let mut end = 0;
    let fit = columns.iter().take_while(|column| {
        end += column.width + if end > 0 { GAP } else { 0 };
        end <= room
    });
    fit.count().max(1)
}

/// Cuts a text that is too wide.
fn cut(text: String, widest: usize) -> String {
    if text.width() <= widest {
        return text;
    }
    let mut width = 1;
    let end = text.char_indices().find_map(|(at, character)| {
        width += character.width().unwrap_or(0);
        (width > widest).then_some(at)
    });
    format!("{}…", &text[..end.unwrap_or(text.len())])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn written(grid: &Grid) -> String {
        let mut out = Vec::new();
        grid.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn texts(heading: &str, texts: &[&str]) -> Column {
        Column::new(heading, texts.iter().map(|text| Some(Cell::text(text))))
    }

    fn numbers(heading: &str, numbers: &[Option<&str>]) -> Column {
        Column::new(heading, numbers.iter().map(|number| number.map(Cell::number)))
    }

    #[test]
    fn texts_go_to_the_left_and_numbers_to_the_right() {
        let columns = vec![texts("name", &["a", "bcdefg"]), numbers("n", &[Some("100"), None]), texts("", &["x", ""])];
        let grid = Grid::new(columns, Palette::default());
        assert_eq!(written(&grid), "name      n\na       100  x\nbcdefg    -\n");
        assert_eq!(written(&grid.indented(2)), "  name      n\n  a       100  x\n  bcdefg    -\n");
    }

    #[test]
    fn a_blank_between_two_texts_keeps_its_place() {
        let columns = vec![texts("a", &["1", "2"]), texts("b", &["", "word"]), texts("c", &["x", "y"])];
        assert_eq!(written(&Grid::new(columns, Palette::default())), "a  b     c\n1        x\n2  word  y\n");
    }

    #[test]
    fn the_widest_texts_are_cut_until_lines_fit() {
        let columns =
            vec![texts("n", &["abcdefghijkl"]), texts("s", &["0123456789abcdef"]), numbers("#", &[Some("7")])];
        let grid = Grid::new(columns, Palette::default());
        assert_eq!(written(&grid.clone().squeezed(None)).lines().nth(1), Some("abcdefghijkl  0123456789abcdef  7"));
        assert_eq!(written(&grid.clone().squeezed(Some(29))).lines().nth(1), Some("abcdefghijkl  0123456789a…  7"));
        assert_eq!(written(&grid.squeezed(Some(1))).lines().nth(1), Some("abcdefg…  0123456…  7"));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("x".repeat(40), 40), "x".repeat(40));
        assert_eq!(cut("x".repeat(41), 40), "x".repeat(39) + "…");
        let wide = cut("学".repeat(40), 40);
        assert!(wide.ends_with("学…") && wide.width() <= 40, "{wide}");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let grid =
            Grid::new(vec![texts("name", &["学習", "abc"]), numbers("m", &[Some("1"), Some("2")])], Palette::default());
        assert_eq!(written(&grid), "name  m\n学習  1\nabc   2\n");
    }

    #[test]
    fn no_cell_and_no_heading_can_deceive() {
        let grid = Grid::new(vec![texts("h\x1b", &["a\n\u{202e}"])], Palette::default());
        assert_eq!(written(&grid), "h\\u{1b}\na\\n\\u{202e}\n");
    }
}
