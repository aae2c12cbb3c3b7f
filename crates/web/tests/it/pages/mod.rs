//! The pages through their public HTTP interface, read as a browser without script reads them.

mod docs;
mod frame;
mod home;
mod keys;
mod people;
