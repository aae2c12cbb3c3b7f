//! The one page that shows a value, with all that is done with it: copied, kept in a file, tried.

use askama::Template;

use super::frame::Frame;

/// Where a value's page leads back to.
#[derive(Debug)]
pub(crate) struct Crumb {
    pub(crate) label: String,
    pub(crate) href: String,
}

/// A value, as a dialog that stays until its reader has stored it; without script it is a part of the page.
#[derive(Template)]
#[template(path = "dashboard/issued.html")]
pub(crate) struct IssuedPage<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) crumb: Crumb,
    pub(crate) title: String,
    /// The key in a few words.
    pub(crate) about: String,
    /// What has to be done now, and why.
    pub(crate) warning_title: String,
    pub(crate) warning: String,
    pub(crate) lines: Vec<String>,
    /// What the value begins with, and the rest of it.
    pub(crate) prefix: &'a str,
    pub(crate) rest: &'a str,
    pub(crate) reference: Option<String>,
    pub(crate) authorization: &'a str,
    /// The business whose key it is.
    pub(crate) business: Option<String>,
    /// Whether its id is sent beside the key.
    pub(crate) needs_id: bool,
    /// Where the server is, and a path there to try the key on.
    pub(crate) address: String,
    pub(crate) example: &'static str,
    /// The name of the file to keep it in.
    pub(crate) file: String,
    /// Whether this is the only time.
    pub(crate) once: bool,
    /// Whether the key is one of LIVE; none where it belongs to no environment.
    pub(crate) live: Option<bool>,
}

impl IssuedPage<'_> {
    /// Whether the value stands in the call itself: a TEST one does, others are kept apart from it.
    fn in_call(&self) -> bool {
        self.live == Some(false)
    }

    /// The id that is sent beside the key.
    fn needed_id(&self) -> Option<&str> {
        self.business.as_deref().filter(|_| self.needs_id)
    }
}
