//! x
pub(crate) async fn welcome(_: &crate::app::Opened, _: &str, _: &str) -> Result<(), crate::exit::Failure> {
    Ok(())
}
