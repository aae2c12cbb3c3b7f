//! What networks are called on pages, and where their contents can be looked at.

use trousseau_domain::networks::{ChainId, ShortName};

use crate::router::Web;

/// What a network is called: by the operator, by everybody, or by its name in the settings.
pub(crate) fn called(web: &Web, network: &ChainId) -> String {
    let settings = web.app.networks().settings(network);
    if let Some(title) = settings.and_then(|settings| settings.told.title.clone()) {
        return title;
    }
    if let Some(test) = ShortName::of_public_test(network) {
        return match test {
            ShortName::Eth => "Ethereum Sepolia",
            ShortName::Avax => "Avalanche Fuji",
            ShortName::Pol => "Polygon Amoy",
            ShortName::Base => "Base Sepolia",
            ShortName::Arb => "Arbitrum Sepolia",
            ShortName::Sui | ShortName::Solana => network.as_str(),
        }
        .to_owned();
    }
    let known = ShortName::of(network).map(|name| match name {
        ShortName::Eth => "Ethereum",
        ShortName::Avax => "Avalanche",
        ShortName::Pol => "Polygon",
        ShortName::Base => "Base",
        ShortName::Arb => "Arbitrum",
        ShortName::Sui => "Sui",
        ShortName::Solana => "Solana",
    });
    match (known, settings) {
        (Some(known), _) => known.to_owned(),
        (None, Some(settings)) => settings.name.clone(),
        // Not in the settings any more.
        (None, None) => network.to_string(),
    }
}

/// The operator's page about a transaction.
pub(crate) fn transaction_page(web: &Web, network: &ChainId, hash: &str) -> Option<String> {
    web.app.networks().settings(network)?.told.explorer.transaction.as_ref()?.fill(hash)
}

/// The operator's page about an address.
pub(crate) fn address_page(web: &Web, network: &ChainId, address: &str) -> Option<String> {
    web.app.networks().settings(network)?.told.explorer.address.as_ref()?.fill(address)
}

/// The operator's page about a block.
pub(crate) fn block_page(web: &Web, network: &ChainId, number: u64) -> Option<String> {
    web.app.networks().settings(network)?.told.explorer.block.as_ref()?.fill(&number.to_string())
}
