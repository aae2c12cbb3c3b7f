//! temporary
use crate::{exit::Failure, settings::Settings};
use trousseau_domain::ids::RequestId;
#[derive(Debug)]
pub(crate) struct Opened;
impl Opened {
    pub(crate) async fn open(_: &Settings, _: Option<String>) -> Result<Self, Failure> {
        Ok(Self)
    }
    pub(crate) fn request_ids(&self) -> impl Fn() -> RequestId + Send + Sync + 'static {
        || RequestId::from_random([1; 16])
    }
    pub(crate) fn router(&self, edge: trousseau_web::edge::Edge) -> axum::Router {
        trousseau_web::router::router(edge)
    }
    pub(crate) async fn welcome(&self, _: &str, _: &str) -> Result<(), Failure> {
        Ok(())
    }
    pub(crate) async fn close(self) {}
}
