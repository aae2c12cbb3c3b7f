use trousseau_domain::ids::NodeId;
use trousseau_store::{NodeRow, both_engines};

use crate::samples::{at, commit};

fn node(bits: u128, seen: i64) -> NodeRow {
    NodeRow {
        id: NodeId::from_bits(bits),
        version: "0.1.0".to_owned(),
        started_at: at(1),
        seen_at: at(seen),
        applied_seq: seen * 10,
    }
}

both_engines! {
    async fn servers_tell_of_themselves_and_are_forgotten(database) {
        let store = database.store();
        commit!(store, |tx| {
            for row in [node(1, 2), node(2, 3), node(1, 4)] {
                tx.note_node(&row).await.expect("notes");
            }
        });
        assert_eq!(store.read().list_nodes(at(0)).await.expect("lists"), [node(1, 4), node(2, 3)]);
        assert_eq!(store.read().list_nodes(at(3)).await.expect("lists"), [node(1, 4)]);
        commit!(store, |tx| {
            assert_eq!(tx.prune_nodes(at(4)).await.expect("prunes"), 1);
            tx.remove_node(NodeId::from_bits(1)).await.expect("removes");
        });
        assert!(store.read().list_nodes(at(0)).await.expect("lists").is_empty());
    }
}
