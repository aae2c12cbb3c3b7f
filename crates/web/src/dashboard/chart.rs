//! Pictures of numbers, made on the server. The numbers themselves stand in a table beneath each.

/// Where a line begins and ends, in units of its picture.
const LINE_WIDTH: u64 = 88;
const LINE_HEIGHT: u64 = 26;
/// The height of a picture of columns, in pixels.
const COLUMNS_HEIGHT: u64 = 160;
/// The height of one row of a picture of rows, its label included, in pixels.
const ROW_HEIGHT: u64 = 40;
/// What the label takes of it.
const LABEL_HEIGHT: u64 = 18;
/// The height of the bar under the label.
const BAR_HEIGHT: u64 = 12;

/// A picture of bars. Its width is whatever the page has; across it, everything is in hundredths of that.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// What its parts are called in the page.
    pub(crate) id: &'static str,
    /// What it shows.
    pub(crate) title: String,
    /// What there is to see in it.
    pub(crate) about: String,
    pub(crate) height: u64,
    pub(crate) bars: Vec<Bar>,
    pub(crate) labels: Vec<Label>,
}

/// A part of a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) class: &'static str,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) width: String,
    pub(crate) height: String,
}

/// A text beside a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) y: u64,
    pub(crate) text: String,
}

/// The parts of one bar, each with the class of its colour.
pub(crate) type Parts = [(&'static str, u64); 3];

fn sum(parts: &Parts) -> u64 {
    parts.iter().fold(0, |sum, (_, part)| sum.saturating_add(*part))
}

/// `part` of `whole` in hundredths with one decimal, cut off.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    let tenths = share(part, whole, 1_000);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// `part` of `whole`, where the whole has this length.
fn share(part: u64, whole: u64, length: u64) -> u64 {
    // Wide enough for any count: the product of two 64-bit numbers.
    let found = u128::from(part) * u128::from(length) / u128::from(whole.max(1));
    u64::try_from(found).unwrap_or(length).min(length)
}

/// A column for each entry, the highest as high as the picture; nothing where all are empty.
pub(crate) fn columns(id: &'static str, title: String, about: String, entries: &[Parts]) -> Option<Chart> {
    let most = entries.iter().map(sum).max().filter(|most| *most > 0)?;
    let count = u64::try_from(entries.len()).ok()?;
    let mut bars = Vec::new();
    for (parts, index) in entries.iter().zip(0_u64..) {
        let mut top = COLUMNS_HEIGHT;
        for (class, part) in parts {
            // What is there is seen, however little it is.
            let height = share(*part, most, COLUMNS_HEIGHT - 3).max(u64::from(*part > 0));
            if height == 0 {
                continue;
            }
            top = top.saturating_sub(height);
            bars.push(Bar {
                class,
                x: percent(index * 10 + 1, count * 10),
                y: top.to_string(),
                width: percent(8, count * 10),
                height: height.to_string(),
            });
        }
    }
    Some(Chart { id, title, about, height: COLUMNS_HEIGHT, bars, labels: Vec::new() })
}

/// A row for each entry, under its label, the longest as long as the picture is wide; nothing where all are empty.
pub(crate) fn rows(id: &'static str, title: String, about: String, entries: &[(String, Parts)]) -> Option<Chart> {
    let most = entries.iter().map(|(_, parts)| sum(parts)).max().filter(|most| *most > 0)?;
    let mut bars = Vec::new();
    let mut labels = Vec::new();
    let mut top = 0;
    for (label, parts) in entries {
        labels.push(Label { y: top + LABEL_HEIGHT - 4, text: label.clone() });
        let mut before = 0_u64;
        for (class, part) in parts.iter().filter(|(_, part)| *part > 0) {
            bars.push(Bar {
                class,
                x: percent(before, most),
                y: (top + LABEL_HEIGHT).to_string(),
                width: percent(*part, most),
                height: BAR_HEIGHT.to_string(),
            });
            before = before.saturating_add(*part);
        }
        top += ROW_HEIGHT;
    }
    Some(Chart { id, title, about, height: top, bars, labels })
}

/// The points of a line through these numbers, the largest one near the top; nothing where all are zero.
pub(crate) fn line(totals: &[u64]) -> Option<String> {
    let most = totals.iter().copied().max().filter(|most| *most > 0)?;
    let last = u64::try_from(totals.len()).ok()?.checked_sub(1)?.max(1);
    let points = totals.iter().zip(0_u64..).map(|(total, index)| {
        let rise = share(*total, most, LINE_HEIGHT - 6);
        format!("{},{}", index * LINE_WIDTH / last, LINE_HEIGHT - 2 - rise)
    });
    Some(points.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_to_its_largest_number() {
        assert_eq!(line(&[0, 0, 0]), None);
        assert_eq!(line(&[0, 5, 10]).as_deref(), Some("0,24 44,14 88,4"));
        assert_eq!(line(&[u64::MAX]).as_deref(), Some("0,4"));
    }

    #[test]
    fn columns_stand_on_the_ground_and_reach_the_top() {
        let entry = |good, bad| [("ok", good), ("bad", bad), ("warn", 0)];
        let nothing = columns("x", String::new(), String::new(), &[entry(0, 0)]);
        assert!(nothing.is_none());
        let chart = columns("x", String::new(), String::new(), &[entry(3, 1), entry(0, 0), entry(u64::MAX, 0)]);
        let bars = chart.expect("numbers").bars;
        let brief: Vec<_> = bars.iter().map(|bar| (bar.class, bar.x.as_str(), bar.y.as_str())).collect();
        assert_eq!(brief, [("ok", "3.3%", "159"), ("bad", "3.3%", "158"), ("ok", "70.0%", "3")]);
        assert!(bars.iter().all(|bar| bar.width == "26.6%"));
    }

    #[test]
    fn rows_are_as_long_as_their_share_of_the_longest() {
        let entries = [
            ("a".to_owned(), [("ok", 3), ("bad", 1), ("warn", 0)]),
            ("b".to_owned(), [("ok", 1), ("bad", 0), ("warn", 1)]),
        ];
        let chart = rows("x", String::new(), String::new(), &entries).expect("numbers");
        let brief: Vec<_> = chart.bars.iter().map(|bar| (bar.x.as_str(), bar.width.as_str(), bar.y.as_str())).collect();
        let expected =
            [("0.0%", "75.0%", "18"), ("75.0%", "25.0%", "18"), ("0.0%", "25.0%", "58"), ("25.0%", "25.0%", "58")];
        assert_eq!((brief, chart.height), (expected.to_vec(), 80));
    }
}
