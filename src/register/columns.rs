//! The columns of a table, found by the names in its header: exports differ in their order and in what else they hold.

use super::field::Field;
use super::written::{Fault, WrittenRow};

/// What each column says; `None` for one that means nothing to us.
#[derive(Debug, Clone)]
pub(super) struct Columns(Vec<Option<Field>>);

/// A table with more columns is something else.
const MOST: usize = 200;

impl Columns {
    /// The columns with these names. An OID and a name there must be; the rest may be left out.
    pub(super) fn of(names: &[String]) -> Result<Self, String> {
        if names.len() > MOST {
            return Err(format!("it has more than {MOST} columns"));
        }
        let columns = Columns(names.iter().map(|name| Field::named(name)).collect());
        for (field, examples) in [(Field::Oid, "\"oid\" or \"Tunniste\""), (Field::NameFi, "\"Pitkä nimi\"")] {
            if !columns.0.contains(&Some(field)) {
                let found = super::shown(&names.join(", "));
                return Err(format!("there is no column {examples}; the columns are: {found}"));
            }
        }
        Ok(columns)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The row of these cells, each with the number of its column from 0.
    pub(super) fn row<'a>(&self, cells: impl Iterator<Item = (usize, &'a str)>) -> Result<WrittenRow, Fault> {
        let mut row = WrittenRow::default();
        for (column, value) in cells {
            if let Some(field) = self.0.get(column).copied().flatten() {
                row.put(field, value)?;
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_an_oid_or_a_name_is_no_register() {
        let names = |names: &[&str]| Columns::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(names(&["Tunniste", "Pitkä nimi", "Muuta"]).is_ok());
        assert!(names(&["Pitkä nimi"]).unwrap_err().contains("Tunniste"));
        assert!(names(&["OID", "Nimi"]).unwrap_err().contains("the columns are: OID, Nimi"));
    }
}
