//! Summaries as queries look at them.

use std::borrow::Cow;

use super::{Cell, DATASET, METRIC, MODEL, PARAMETER, Summary, TAG};
use crate::metrics::Number;
use crate::query::subject::Naming;
use crate::query::{Scalar, Subject};
use crate::record::Status;

impl Subject for Summary<'_> {
    fn metric(&self, name: &str) -> Option<Scalar<'_>> {
        Some(Scalar::Number(match self.segment.cell(METRIC, name, self.row)? {
            Cell::Float(value) => Number::Float(value),
            Cell::Integer(value) => Number::Integer(value),
            other => Number::from_json(&other.to_json())?,
        }))
    }

    fn parameter(&self, name: &str) -> Option<Scalar<'_>> {
        Some(match self.segment.cell(PARAMETER, name, self.row)? {
            Cell::Null => Scalar::Null,
            Cell::Bool(value) => Scalar::Bool(value),
            Cell::Integer(value) => Scalar::Number(Number::Integer(value)),
            Cell::Float(value) => Scalar::Number(Number::Float(value)),
            Cell::Text(Cow::Borrowed(text)) => Scalar::Text(text),
            Cell::Text(Cow::Owned(_)) => return None,
            cell @ Cell::Json(_) => match cell.to_json() {
                number @ serde_json::Value::Number(_) => Scalar::Number(Number::from_json(&number)?),
                compound => Scalar::of_compound(&compound),
            },
        })
    }

    fn each_name(&self, visit: &mut dyn FnMut(Naming, &str)) {
        for (kind, name, _) in self.segment.cells(self.row) {
            match kind {
                METRIC => visit(Naming::Metric, name),
                PARAMETER => visit(Naming::Parameter, name),
                _ => {}
            }
        }
    }

    fn id(&self) -> Cow<'_, str> {
        Summary::id(self).to_string().into()
    }

    fn name(&self) -> Option<&str> {
        self.text("name")
    }

    fn parent(&self) -> Option<&str> {
        self.text("parent")
    }

    fn group(&self) -> Option<&str> {
        self.text("group")
    }

    fn each_tag(&self, visit: &mut dyn FnMut(&str)) {
        for (kind, name, _) in self.segment.cells(self.row) {
            if kind == TAG {
                visit(name);
            }
        }
    }

    fn status(&self) -> Status {
        // A summary without one is not made.
        Summary::status(self).unwrap_or(Status::Lost)
    }

    fn started(&self) -> Option<u64> {
        self.time("started")
    }

    fn ended(&self) -> Option<u64> {
        self.time("ended")
    }

    fn paused(&self) -> u64 {
        Summary::paused(self)
    }

    fn script(&self) -> Option<&str> {
        self.text("script")
    }

    fn problem(&self) -> Option<&str> {
        self.text("problem")
    }

    fn each_dataset(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        for (kind, name, cell) in self.segment.cells(self.row) {
            if kind == DATASET {
                visit(name, cell.as_text());
            }
        }
    }

    fn each_model(&self, visit: &mut dyn FnMut(&str, Option<&str>)) {
        for (kind, name, cell) in self.segment.cells(self.row) {
            if kind == MODEL {
                visit(name, cell.as_text().and_then(|text| text.split(' ').next()));
            }
        }
    }
}
