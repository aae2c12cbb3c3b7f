//! Where the header fields of an answer go: into a map of them, or to the bytes of an answer that is written as it is made.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Takes header fields, by their names in lower case. Values are visible ASCII and spaces.
pub(crate) trait Fields {
    /// One more field, of which there was none so far.
    fn put(&mut self, name: &'static str, value: &[u8]);

    /// The same, of a value that is put together in place.
    fn put_made(&mut self, name: &'static str, make: impl FnOnce(&mut Vec<u8>)) {
        let mut value = Vec::new();
        make(&mut value);
        self.put(name, &value);
    }

    /// The same, of a value that never changes.
    fn put_fixed(&mut self, name: &'static str, value: &'static str) {
        self.put(name, value.as_bytes());
    }
}

impl Fields for HeaderMap {
    fn put(&mut self, name: &'static str, value: &[u8]) {
        let value = HeaderValue::from_bytes(value).expect("ids, names and numbers are visible ASCII");
        self.insert(HeaderName::from_static(name), value);
    }

    fn put_fixed(&mut self, name: &'static str, value: &'static str) {
        self.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// The end of an answer's head as it goes over the wire (RFC 9112 section 5).
pub(crate) struct Written<'a>(pub(crate) &'a mut Vec<u8>);

impl Fields for Written<'_> {
    fn put(&mut self, name: &'static str, value: &[u8]) {
        self.put_made(name, |out| out.extend_from_slice(value));
    }

    fn put_made(&mut self, name: &'static str, make: impl FnOnce(&mut Vec<u8>)) {
        write_field(self.0, name, make);
    }
}

/// Writes a field with any name.
pub(crate) fn write_field(out: &mut Vec<u8>, name: &str, make: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    make(out);
    out.extend_from_slice(b"\r\n");
}
