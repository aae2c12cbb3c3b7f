//! The pages of the Guide and their order.

use crate::dashboard::text::{Texts, message};

/// A page of the Guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    FirstCall,
    WhyKeys,
    Kinds,
    BusinessId,
    GetAKey,
    SendAKey,
    KeepSecret,
    TestAndLive,
    Checkout,
    Webhooks,
    Rotate,
    Leaks,
    Rules,
    Refusals,
}

impl Page {
    /// In the order of reading.
    pub(super) const ALL: [Self; 14] = [
        Self::FirstCall,
        Self::WhyKeys,
        Self::Kinds,
        Self::BusinessId,
        Self::GetAKey,
        Self::SendAKey,
        Self::KeepSecret,
        Self::TestAndLive,
        Self::Checkout,
        Self::Webhooks,
        Self::Rotate,
        Self::Leaks,
        Self::Rules,
        Self::Refusals,
    ];

    /// The last part of its address; the first page is at `/docs` itself.
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::FirstCall => "",
            Self::WhyKeys => "why-keys",
            Self::Kinds => "kinds",
            Self::BusinessId => "business-id",
            Self::GetAKey => "get-a-key",
            Self::SendAKey => "send-a-key",
            Self::KeepSecret => "keep-keys-secret",
            Self::TestAndLive => "test-and-live",
            Self::Checkout => "checkout",
            Self::Webhooks => "webhooks",
            Self::Rotate => "rotate",
            Self::Leaks => "leaks",
            Self::Rules => "rules",
            Self::Refusals => "refusals",
        }
    }

    /// The page at this address.
    pub(super) fn find(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|page| !slug.is_empty() && page.slug() == slug)
    }

    /// Its address.
    pub(super) fn href(self) -> String {
        match self.slug() {
            "" => "/docs".to_owned(),
            slug => format!("/docs/{slug}"),
        }
    }

    /// What it is called.
    pub(super) fn title(self, t: Texts) -> String {
        t.get(match self {
            Self::FirstCall => message!("docs-first-call"),
            Self::WhyKeys => message!("docs-why-keys"),
            Self::Kinds => message!("docs-kinds"),
            Self::BusinessId => message!("docs-business-id"),
            Self::GetAKey => message!("docs-get-a-key"),
            Self::SendAKey => message!("docs-send-a-key"),
            Self::KeepSecret => message!("docs-keep-secret"),
            Self::TestAndLive => message!("docs-test-and-live"),
            Self::Checkout => message!("docs-checkout"),
            Self::Webhooks => message!("docs-webhooks"),
            Self::Rotate => message!("docs-rotate"),
            Self::Leaks => message!("docs-leaks"),
            Self::Rules => message!("docs-rules"),
            Self::Refusals => message!("docs-refusals"),
        })
    }

    /// The page after it.
    pub(super) fn next(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|page| *page == self)?;
        Self::ALL.get(at + 1).copied()
    }

    /// The page before it.
    pub(super) fn previous(self) -> Option<Self> {
        let at = Self::ALL.iter().position(|page| *page == self)?;
        Self::ALL.get(at.checked_sub(1)?).copied()
    }
}
