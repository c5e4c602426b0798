//! Reads the pages of a SQLite file without SQLite, which refuses a whole table if one page is damaged
//! (<https://www.sqlite.org/fileformat2.html>). Everything in a page is validated.

use std::collections::HashSet;

/// The first 16 bytes of every database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the b-tree of the first page begins, after the file's header.
const FILE_HEADER: usize = 100;
/// The kinds of b-tree pages that hold a table.
const TABLE_INTERIOR: u8 = 5;
const TABLE_LEAF: u8 = 13;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub rowid: i64,
    pub values: Vec<Value>,
}

/// The pages below a table's root.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub leaves: Vec<usize>,
    /// How many of them are not pages of a table.
    pub unreadable: usize,
}

/// A file, cut into pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages<'a> {
    bytes: &'a [u8],
    size: usize,
    /// The used bytes of a page: the rest may be reserved.
    usable: usize,
}

impl<'a> Pages<'a> {
    /// The file with the page size from its header or, if that is damaged, with every possible page size.
    pub fn candidates(bytes: &'a [u8]) -> Vec<Self> {
        let sizes = (9..=16).map(|power| 1 << power);
        let stated = bytes.starts_with(MAGIC).then(|| big_endian(bytes, 16, 2)).flatten();
        let stated = stated.map(|size| if size == 1 { 1 << 16 } else { size });
        let reserved = bytes.get(20).map_or(0, |&reserved| usize::from(reserved));
        match sizes.clone().find(|size| Some(*size) == stated) {
            Some(size) if size - reserved >= 480 => vec![Self { bytes, size, usable: size - reserved }],
            _ => sizes.map(|size| Self { bytes, size, usable: size }).collect(),
        }
    }

    pub fn count(&self) -> usize {
        self.bytes.len().div_ceil(self.size)
    }

    /// A page, numbered from 1; the last may be truncated.
    fn page(&self, number: usize) -> Option<&'a [u8]> {
        let start = number.checked_sub(1)?.checked_mul(self.size)?;
        let page = self.bytes.get(start..)?;
        page.get(..self.usable).or(Some(page)).filter(|page| !page.is_empty())
    }

    /// The free pages, whose content is out of date.
    pub fn free(&self) -> HashSet<usize> {
        let mut free = HashSet::new();
        let mut next = big_endian(self.bytes, 32, 4).filter(|_| self.bytes.starts_with(MAGIC)).unwrap_or_default();
        while next != 0 && next <= self.count() && free.insert(next) {
            let Some(trunk) = self.page(next) else { break };
            let leaves = big_endian(trunk, 4, 4).unwrap_or_default().min(self.usable / 4);
            free.extend((0..leaves).filter_map(|leaf| big_endian(trunk, 8 + 4 * leaf, 4)));
            next = big_endian(trunk, 0, 4).unwrap_or_default();
        }
        free
    }

    /// The leaves of a table that are reachable from its root, which may itself be a leaf. No page is visited twice.
    pub fn below(&self, root: usize, seen: &mut HashSet<usize>) -> Below {
        let (mut below, mut todo) = (Below::default(), vec![root]);
        while let Some(number) = todo.pop() {
            if !seen.insert(number) {
                continue;
            }
            match self.kind(number) {
                Some(TABLE_LEAF) => below.leaves.push(number),
                Some(TABLE_INTERIOR) => todo.extend(self.children(number)),
                _ => below.unreadable += 1,
            }
        }
        below.leaves.sort_unstable();
        below
    }

    /// Whether a page looks like a leaf of a table.
    pub fn is_leaf(&self, number: usize) -> bool {
        self.kind(number) == Some(TABLE_LEAF)
    }

    /// The readable rows of the leaves.
    pub fn records(&self, leaves: &[usize]) -> Vec<Record> {
        let of_leaf = |leaf: &usize| {
            let page = self.page(*leaf).unwrap_or_default();
            self.cells(*leaf, 8).filter_map(|cell| self.record(page, cell)).collect::<Vec<_>>()
        };
        leaves.iter().flat_map(of_leaf).collect()
    }

    fn header(number: usize) -> usize {
        if number == 1 { FILE_HEADER } else { 0 }
    }

    fn kind(&self, number: usize) -> Option<u8> {
        self.page(number)?.get(Self::header(number)).copied()
    }

    /// The offsets of a page's cells; `header` is the length of the page's own header.
    fn cells(&self, number: usize, header: usize) -> impl Iterator<Item = usize> {
        let page = self.page(number).unwrap_or_default();
        let start = Self::header(number);
        let count = big_endian(page, start + 3, 2).unwrap_or_default().min(self.usable / 2);
        let first = start + header;
        (0..count).filter_map(move |cell| big_endian(page, first + 2 * cell, 2)).filter(move |&cell| cell >= first)
    }

    fn children(&self, number: usize) -> Vec<usize> {
        let page = self.page(number).unwrap_or_default();
        let last = big_endian(page, Self::header(number) + 8, 4);
        self.cells(number, 12).filter_map(|cell| big_endian(page, cell, 4)).chain(last).collect()
    }

    fn record(&self, page: &[u8], cell: usize) -> Option<Record> {
        let (length, after) = varint(page, cell)?;
        let (rowid, after) = varint(page, after)?;
        let payload = self.payload(page, usize::try_from(length).ok()?, after)?;
        Some(Record { rowid, values: values(&payload)? })
    }

    /// A row's bytes. Those that do not fit into its page are in a chain of overflow pages.
    fn payload(&self, page: &[u8], length: usize, start: usize) -> Option<Vec<u8>> {
        let most = self.usable - 35;
        if length <= most {
            return page.get(start..start + length).map(<[u8]>::to_vec);
        }
        if length > self.bytes.len() {
            return None;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let wished = least + (length - least) % (self.usable - 4);
        let local = if wished <= most { wished } else { least };
        let mut payload = page.get(start..start + local)?.to_vec();
        let mut next = big_endian(page, start + local, 4)?;
        // The chain is not longer than the row, so even a cycle ends.
        while payload.len() < length {
            let overflow = self.page(next)?;
            let more = (length - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(overflow.get(4..4 + more)?);
            next = big_endian(overflow, 0, 4)?;
        }
        Some(payload)
    }
}

fn big_endian(bytes: &[u8], start: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(start..start.checked_add(length)?)?;
    Some(bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}

/// SQLite's integer of one to nine bytes, and the offset after it.
fn varint(bytes: &[u8], start: usize) -> Option<(i64, usize)> {
    let mut number = 0_i64;
    for length in 0..8 {
        let byte = *bytes.get(start + length)?;
        number = number << 7 | i64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, start + length + 1));
        }
    }
    Some((number << 8 | i64::from(*bytes.get(start + 8)?), start + 9))
}

/// The values of a row; `None` if it is inconsistent.
fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let (header, mut at) = varint(payload, 0)?;
    let mut body = usize::try_from(header).ok()?;
    let mut values = Vec::new();
    while at < usize::try_from(header).ok()? {
        let (kind, after) = varint(payload, at)?;
        at = after;
        let (value, length) = value(payload, body, kind)?;
        body += length;
        values.push(value);
    }
    (body == payload.len()).then_some(values)
}

/// A value of a serial type, and its length in bytes.
fn value(payload: &[u8], start: usize, kind: i64) -> Option<(Value, usize)> {
    let integer = |length: usize| {
        let bytes = payload.get(start..start + length)?;
        let first = if *bytes.first()? & 0x80 == 0 { 0 } else { -1 };
        Some((Value::Integer(bytes.iter().fold(first, |number, &byte| number << 8 | i64::from(byte))), length))
    };
    match kind {
        0 => Some((Value::Null, 0)),
        1..=4 => integer(usize::try_from(kind).ok()?),
        5 => integer(6),
        6 => integer(8),
        7 => Some((Value::Real(f64::from_be_bytes(payload.get(start..start + 8)?.try_into().ok()?)), 8)),
        8 => Some((Value::Integer(0), 0)),
        9 => Some((Value::Integer(1), 0)),
        kind => {
            let length = usize::try_from(kind.checked_sub(12).filter(|length| *length >= 0)? / 2).ok()?;
            let bytes = payload.get(start..start.checked_add(length)?)?;
            let value = if kind % 2 == 1 { Value::Text(bytes.to_vec()) } else { Value::Blob };
            Some((value, length))
        }
    }
}
