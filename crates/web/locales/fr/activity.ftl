# Développeurs > Événements et Utilisation : ce qui s'est passé, par qui, et ce qui est utilisé.

events-intro = Ce qui est arrivé aux clés, aux personnes et aux paramètres de cette entreprise, et par qui. Le plus récent d'abord.
events-what = Événement
events-all = Tous les événements
events-who = Par
events-person = Membre
events-changes = Modifications
events-whole-business = Toute l'entreprise
events-role = Rôle
events-profile = Profil
events-time-zone = Fuseau horaire
events-language = Langue
events-id = Identifiant de l'événement
events-copy = Copier l'identifiant de l'événement
events-data = Données
events-copy-data = Copier les données
events-none = Aucun événement pour le moment
events-none-next = Tout ce qui arrive aux clés, aux personnes et aux paramètres est noté ici.
events-none-found = Aucun événement ne correspond

event-business-created = Entreprise créée
event-business-updated = Paramètres modifiés
event-business-suspended = Entreprise suspendue
event-business-resumed = Entreprise rétablie
event-key-created = Clé créée
event-key-imported = Clé reprise d'un autre système
event-key-updated = Clé modifiée
event-key-rotated = Clé renouvelée
event-key-revealed = Valeur d'une clé lue
event-key-revoked = Clé révoquée
event-key-ending = Clé bientôt expirée
event-key-new-network = Clé utilisée depuis un nouveau réseau
event-member-invited = Membre invité
event-invitation-revoked = Invitation retirée
event-member-added = Membre ajouté
event-member-role-changed = Rôle d'un membre modifié
event-member-removed = Membre retiré
event-webhook-created = Point de terminaison webhook ajouté
event-webhook-updated = Point de terminaison webhook modifié
event-webhook-rotated = Secret de webhook renouvelé
event-webhook-revealed = Secret de webhook lu
event-webhook-disabled = Point de terminaison webhook désactivé
event-webhook-deleted = Point de terminaison webhook supprimé
event-webhook-test = Test de webhook envoyé

who-you = Vous
who-no-member = Une personne qui n'est pas membre actuellement
who-another-key = Une autre clé
who-platform = La plateforme
who-operator = L'exploitant de cette installation
who-system = Cette installation elle-même

filter-key = Numéro de la clé
filter-from = Du
filter-to = Au

usage-intro = Combien de requêtes ont été faites avec les clés de cette entreprise. Les jours sont ceux d'UTC ; les requêtes dont personne ne connaît la clé et l'environnement ne figurent que dans le journal.
usage-days = Jours
usage-range = { $count } jours
usage-requests = requêtes
usage-total = Toutes
usage-share = Part
usage-by-day = Requêtes par jour
usage-days-about = Du { $first } au { $last }. Au plus en un jour : { $most }.
usage-by-key = Requêtes par clé
usage-keys-about = { $count ->
    [one] La clé qui a fait le plus de requêtes.
   *[other] Les { $count } clés qui ont fait le plus de requêtes.
}
usage-unknown-key = Clé inconnue
usage-by-outcome = Requêtes par résultat
usage-outcomes-about = Une barre pour chaque façon dont les requêtes se sont terminées.
usage-none = Aucune requête dans cette période
usage-none-next = Faites-en une avec l'appel de la page d'accueil, puis revenez une seconde plus tard.
