//! Spreadsheets: the first sheet of an XLSX or XLS file, its first row being the header. What an XLSX file unpacks to is
//! bounded before it is read: a small file may unpack to any size.

use std::io::{BufRead, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{Data, DataRef, Reader, Xls, Xlsx};

use super::columns::Columns;
use super::{Rows, Unreadable};

/// What an XLSX file may unpack to, in octets; a hundred thousand rows are about 60 MiB.
const LARGEST: u64 = 512 << 20;
/// The largest XLS file, in octets: it is read into memory whole.
const LARGEST_XLS: u64 = 128 << 20;
/// No register has more columns.
const MOST_COLUMNS: u32 = 200;

/// Reads an XLSX file, cell by cell.
pub(super) fn read_xlsx_into(rows: &mut Rows, mut file: impl BufRead + Seek) -> Result<(), Unreadable> {
    bounded(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    caught(|| {
        let mut book: Xlsx<_> = calamine::open_workbook_from_rs(file).map_err(broken::<calamine::XlsxError>)?;
        let sheet = first(book.sheet_names())?;
        let mut cells = book.worksheet_cells_reader(&sheet).map_err(broken)?;
        let mut table = Table::default();
        while let Some(cell) = cells.next_cell().map_err(broken)? {
            let (row, column) = cell.get_position();
            table.cell(rows, row, column, text_of_ref(cell.get_value()))?;
        }
        table.ended(rows)
    })
}

/// Reads an XLS file.
pub(super) fn read_xls_into(rows: &mut Rows, mut file: impl BufRead + Seek) -> Result<(), Unreadable> {
    if file.seek(SeekFrom::End(0))? > LARGEST_XLS {
        return Err(Unreadable::Broken(format!("it is larger than {} MiB; save it as XLSX", LARGEST_XLS >> 20)));
    }
    file.seek(SeekFrom::Start(0))?;
    caught(|| {
        let mut book: Xls<_> = calamine::open_workbook_from_rs(file).map_err(broken::<calamine::XlsError>)?;
        let sheet = first(book.sheet_names())?;
        let range = book.worksheet_range(&sheet).map_err(broken)?;
        let (top, left) = range.start().unwrap_or_default();
        let mut table = Table::default();
        for (row, column, value) in range.used_cells() {
            let place = |start: u32, offset: usize| start.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
            table.cell(rows, place(top, row), place(left, column), text_of(value))?;
        }
        table.ended(rows)
    })
}

/// A library that stops on a damaged file must not stop the server's request without a word.
fn caught(read: impl FnOnce() -> Result<(), Unreadable>) -> Result<(), Unreadable> {
    let stopped = |_| Err(Unreadable::Broken("the spreadsheet is damaged".to_owned()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(stopped)
}

fn broken<E: std::fmt::Display>(error: E) -> Unreadable {
    Unreadable::Broken(format!("the spreadsheet is damaged or cut short: {}", super::shown(&error.to_string())))
}

fn first(sheets: Vec<String>) -> Result<String, Unreadable> {
    sheets.into_iter().next().ok_or_else(|| Unreadable::Broken("the spreadsheet has no sheet".to_owned()))
}

/// Unpacks every part once and keeps nothing: sizes in the directory of a ZIP file are only claims.
fn bounded(file: &mut (impl BufRead + Seek)) -> Result<(), Unreadable> {
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(broken)?.take(LARGEST - unpacked + 1);
        unpacked += std::io::copy(&mut part, &mut std::io::sink()).map_err(broken)?;
        if unpacked > LARGEST {
            return Err(Unreadable::Broken(format!("it unpacks to more than {} MiB", LARGEST >> 20)));
        }
    }
    Ok(())
}

/// The table that cells make up, row after row.
#[derive(Default)]
struct Table {
    columns: Option<Columns>,
    row: u32,
    cells: Vec<(usize, String)>,
}

impl Table {
    fn cell(&mut self, rows: &mut Rows, row: u32, column: u32, value: String) -> Result<(), Unreadable> {
        if row != self.row {
            self.ended(rows)?;
            self.row = row;
        }
        if column < MOST_COLUMNS && !value.trim().is_empty() {
            self.cells.push((column as usize, value));
        }
        Ok(())
    }

    /// The row is complete: the first is the header.
    fn ended(&mut self, rows: &mut Rows) -> Result<(), Unreadable> {
        let cells = std::mem::take(&mut self.cells);
        if cells.is_empty() {
            return Ok(());
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(header(cells)?);
            return Ok(());
        };
        let written = columns.row(cells.iter().map(|(column, value)| (*column, value.as_str())));
        if written.as_ref().is_ok_and(super::written::WrittenRow::is_empty) {
            return Ok(());
        }
        rows.add(u64::from(self.row) + 1, written);
        Ok(())
    }
}

fn header(cells: Vec<(usize, String)>) -> Result<Columns, Unreadable> {
    let width = cells.iter().map(|(column, _)| column + 1).max().unwrap_or(0);
    let mut names = vec![String::new(); width];
    for (column, name) in cells {
        if let Some(place) = names.get_mut(column) {
            *place = name;
        }
    }
    Columns::of(&names).map_err(Unreadable::Header)
}

fn text_of_ref(value: &DataRef<'_>) -> String {
    match value {
        DataRef::SharedString(text) => (*text).to_owned(),
        other => text_of(&Data::from(other.clone())),
    }
}

/// A cell as the register means it: whole numbers without a fraction, days as days.
fn text_of(value: &Data) -> String {
    match value {
        Data::String(text) | Data::DateTimeIso(text) => text.clone(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => number.to_string(),
        Data::Bool(marked) => if *marked { "T" } else { "F" }.to_owned(),
        Data::DateTime(time) if time.is_datetime() => {
            let (year, month, day, ..) = time.to_ymd_hms_milli();
            format!("{year:04}-{month:02}-{day:02}")
        }
        // A formula's error and a length of time are no value of a register; they fail as whatever the column is.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, Source, read};
    use super::*;
    use std::io::{Cursor, Write as _};

    /// A workbook of one sheet. Numbers become numbers, everything else shared strings.
    fn workbook(rows: &[&[&str]]) -> Vec<u8> {
        let (mut strings, mut sheet) = (Vec::new(), String::new());
        for (number, cells) in rows.iter().enumerate() {
            sheet.push_str(&format!("<row r=\"{}\">", number + 1));
            for (column, value) in cells.iter().enumerate() {
                let place = format!("{}{}", char::from(b'A' + column as u8), number + 1);
                match value.parse::<u32>() {
                    Ok(value) => sheet.push_str(&format!("<c r=\"{place}\"><v>{value}</v></c>")),
                    Err(_) => {
                        sheet.push_str(&format!("<c r=\"{place}\" t=\"s\"><v>{}</v></c>", strings.len()));
                        strings.push(format!("<si><t>{}</t></si>", value.replace('&', "&amp;")));
                    }
                }
            }
            sheet.push_str("</row>");
        }
        let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
        let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        let parts = [
            (
                "[Content_Types].xml",
                "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>".to_owned(),
            ),
            (
                "_rels/.rels",
                format!(
                    "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{relations}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
                ),
            ),
            (
                "xl/workbook.xml",
                format!(
                    "<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><sheets><sheet name=\"Apteekit\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
                ),
            ),
            (
                "xl/_rels/workbook.xml.rels",
                format!(
                    "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" Type=\"{relations}/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"{relations}/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"
                ),
            ),
            ("xl/sharedStrings.xml", format!("<sst xmlns=\"{main}\">{}</sst>", strings.concat())),
            (
                "xl/worksheets/sheet1.xml",
                format!("<worksheet xmlns=\"{main}\"><sheetData>{sheet}</sheetData></worksheet>"),
            ),
        ];
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in parts {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    const HEADER: &[&str] = &[
        "Tunniste",
        "Pitkä nimi",
        "OID",
        "Postinumero",
        "ApteekkariYtunnus",
        "ApteekkiTyyppi",
        "Voimassaolo alkaa",
        "Voimassaolo päättyy",
    ];

    fn checked(rows: &[&[&str]]) -> Checked {
        let file = workbook(&[&[HEADER], rows].concat());
        read(Source::Pharmacy, Cursor::new(file)).unwrap().checked(&Default::default())
    }

    #[test]
    fn a_pharmacy_list_is_read_with_its_numbers_as_texts() {
        const OID: &str = "1.2.246.537.6.40003.9001";
        let checked = checked(&[
            &[OID, "Helsingin 900. apteekki & kumppani", OID, "100", "9990004-0", "Apteekki", "20191001", "21001231"],
            &[
                "1.2.246.537.6.40003.9003",
                "Kuusamon apteekki",
                "",
                "93600",
                "000000-0",
                "Apteekki",
                "20191001",
                "21001231",
            ],
        ]);
        assert_eq!(checked.rows.len(), 1, "{:?}", checked.refused);
        assert_eq!((checked.rows[0].row, checked.rows[0].name_fi.as_str()), (2, "Helsingin 900. apteekki & kumppani"));
        assert!(checked.rows[0].valid_from.is_some() && checked.rows[0].valid_to.is_none());
        assert_eq!(checked.refused[0].row, Some(3));
    }

    #[test]
    fn a_pharmacy_at_its_handover_has_two_rows_and_overlapping_ones_are_refused() {
        const OID: &str = "1.2.246.537.6.40003.9001";
        let old: &[&str] = &[OID, "Apteekki", "", "100", "9990004-0", "Apteekki", "20191001", "20260930"];
        let new: &[&str] = &[OID, "Apteekki", "", "100", "9990005-9", "Apteekki", "20261001", "21001231"];
        let early: &[&str] = &[OID, "Apteekki", "", "100", "9990005-9", "Apteekki", "20260930", "21001231"];
        assert_eq!(checked(&[old, new]).rows.len(), 2);
        let overlapping = checked(&[old, early]);
        assert_eq!((overlapping.rows.len(), overlapping.refused.len()), (0, 2));
    }

    #[test]
    fn a_damaged_or_cut_workbook_is_refused_whole() {
        let file = workbook(&[HEADER]);
        for length in [30, file.len() / 2, file.len() - 30] {
            assert!(read(Source::Pharmacy, Cursor::new(&file[..length])).is_err(), "{length}");
        }
        let other = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 600]].concat();
        assert!(read(Source::Pharmacy, Cursor::new(other)).is_err());
    }

    #[test]
    fn another_table_is_no_register() {
        let file = workbook(&[&["Nimi", "Osoite"], &["a", "b"]]);
        assert!(matches!(read(Source::Pharmacy, Cursor::new(file)), Err(Unreadable::Header(_))));
    }
}
