//! s
use crate::{app::Opened, cli::Secrets, exit::Failure};
pub(crate) async fn run(_: &Opened, _: &Secrets, _: bool) -> Result<(), Failure> {
    Ok(())
}
