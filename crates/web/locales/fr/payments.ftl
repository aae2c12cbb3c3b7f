# The pages of payments: what is to be paid, and what was

any-state = Tous les états
amount = Montant
amount-usdc = Montant en USDC
amount-hint = Par exemple 12.50, avec un point et 6 décimales au plus.
network = Réseau
payment = Paiement
description = Description
optional = Facultatif.
delete = Supprimer
key-value-number = (valeur { $number })
customer-reference = Référence du client
customer-reference-hint = Le nom que vous donnez au client. Facultatif.
redirect-url = Adresse de retour
redirect-hint = Où le payeur va ensuite : une adresse qui commence par https://. Facultatif.
wrong-amount = Saisissez un montant supérieur à zéro, comme 12.50 : des chiffres et un point, 6 décimales au plus
wrong-title = Réduisez le titre à 200 caractères, sans retour à la ligne
wrong-description = Réduisez la description à 1000 caractères, sans retour à la ligne
wrong-redirect = Saisissez une adresse qui commence par https://, de 2048 caractères au plus (en TEST, http://localhost convient aussi)
wrong-reference = Réduisez la référence du client à 100 caractères

payable-title = Titre
payable-id = Identifiant
payable-copy-id = Copier l'identifiant
payable-paid = Payé
payable-deleted = Supprimé
payable-share = Page de paiement
payable-copy-url = Copier le lien
payable-url-copied = Lien copié
payable-open = Ouvrir la page
payable-qr = Code QR de la page
payable-edit-title = Modifier { $name }

links-intro = Une page au prix fixe que vous envoyez à qui vous voulez : on y paie en USDC.
links-search = Rechercher titre, identifiant ou référence
links-none = Aucun lien de paiement pour le moment
links-none-next = Créez-en un, envoyez son adresse ou son code QR, et voyez ici qui a payé.
links-none-found = Aucun lien de paiement ne correspond
link-active = Actif
link-inactive = Désactivé
link-untitled = Lien sans titre
link-use = Usage
link-single-use = Payable une seule fois
link-reusable = Payable autant de fois que voulu
link-single-use-choice = Il ne peut être payé qu'une seule fois
link-title-hint = Ce que le payeur lit au-dessus du prix. Facultatif.
link-create = Créer le lien de paiement
link-create-title = Créer un lien de paiement
link-edit-intro = Les paiements déjà commencés gardent leur prix.
link-deleted = Ce lien a été supprimé : il ne peut plus être payé. Ses paiements restent.
payable-delete-question = Supprimer { $name } ?
payable-delete-consequence = Qui ouvre sa page ne peut plus payer. Les paiements déjà faits restent. C'est irréversible.
flash-link-made = Lien de paiement créé : { $name }
flash-link-saved = Lien de paiement modifié : { $name }
flash-link-on = Activé : { $name }
flash-link-off = Désactivé : { $name }
flash-link-deleted = Lien de paiement supprimé : { $name }

payment-open = En attente
payment-processing = En cours de confirmation
payment-settled = Réglé
payment-expired = Expiré
payment-cancelled = Annulé
payment-needs-review = À décider
payment-reversed = Révoqué par le réseau
payment-partially-refunded = Remboursé en partie
payment-refunded = Remboursé
exception-partial = Arrivé en partie
exception-underpaid = Insuffisant
exception-overpaid = Excédentaire
exception-late = En retard
exception-multiple = Payé deux fois
exception-manual = Décidé à la main

payments-intro = Ce qui a été payé ou va l'être : une ligne par tentative, la plus récente d'abord.
payments-search = Rechercher identifiant, adresse, transaction ou payeur
payments-none = Aucun paiement pour le moment
payments-none-next = Un paiement apparaît ici dès que quelqu'un commence à payer un lien, une facture ou un paiement récurrent.
payments-none-found = Aucun paiement ne correspond
payment-of = Paiement de { $amount } USDC
payment-due = Montant dû
payment-seen = Vu sur le réseau
payment-settled-amount = Réglé définitivement
payment-settled-of = { $settled } sur { $due } USDC sont arrivés définitivement.
payment-confirmations = { $count } confirmations sur { $needed }
payment-for = Pour
payment-expires = À temps jusqu'au
payment-settled-at = Réglé
payment-started = Commencé
transaction-hash = Empreinte de la transaction
copy-address = Copier l'adresse
copy-hash = Copier l'empreinte de la transaction
payer = Payeur
payer-hint = D'après le réseau. Demandez au payeur avant d'y renvoyer de l'argent : ce peut être une plateforme d'échange.
arrivals = Ce qui est arrivé
arrival-other-token = Autre jeton
arrival-gone = Disparu : le réseau a remplacé son bloc
payment-cancel = Annuler le paiement
payment-cancel-question = Annuler ce paiement ?
payment-cancel-consequence = Son adresse ne doit plus servir. Ce qui y serait encore envoyé demandera une décision. C'est irréversible.
payment-undecided = De l'argent est arrivé, mais pas comme prévu. Décidez de ce qu'il devient.
payment-decide = Décider
payment-decide-title = Décider de ce paiement
payment-verdict = Que devient-il ?
verdict-accept = Accepter
verdict-accept-hint = Il compte comme payé avec ce qui est arrivé.
verdict-return = Rendre
verdict-return-hint = Vous rendez l'argent vous-même, hors de ce système ; il compte comme remboursé.
reason = Motif
reason-hint = Gardé dans l'historique, avec votre nom. 500 caractères au plus.
wrong-verdict = Choisissez ce qu'il devient
wrong-reason = Donnez un motif de 500 caractères au plus, sans retour à la ligne
flash-payment-cancelled = Paiement annulé
flash-payment-decided = Décision gardée
flash-payment-moved = Rien n'a été changé : le paiement a évolué entre-temps. Voyez où il en est.

unmatched = Dépôts sans paiement
unmatched-intro = L'argent arrivé à vos adresses et qu'aucun paiement ne prend.
unmatched-waiting = De l'argent est arrivé qu'aucun paiement ne prend.
unmatched-look = Le voir
unmatched-none = Rien n'attend ici
unmatched-none-next = Ce qui arrive sans appartenir à un paiement est listé ici jusqu'à ce que quelqu'un s'en occupe.
deposit = Transfert
deposit-dismiss = Mettre de côté
deposit-dismiss-title = Mettre ce transfert de côté
deposit-dismiss-intro = Vous vous en êtes occupé hors de ce système. Il quitte la liste et reste dans les événements.
flash-deposit-dismissed = Transfert mis de côté

invoices-intro = Un prix, une échéance et une page sur laquelle on paie.
invoices-search = Rechercher titre, identifiant ou client
invoices-none = Aucune facture pour le moment
invoices-none-next = Créez-en une, envoyez l'adresse de sa page, et voyez ici si elle a été payée à temps.
invoices-none-found = Aucune facture ne correspond
invoice = Facture
invoice-number = Facture { $number }
invoice-pending = En attente
invoice-past-due = Échue
invoice-paid = Payée
invoice-void = Annulée
invoice-deleted-state = Supprimée
invoice-due = Échéance
invoice-lines = Lignes
invoice-quantity = Quantité
invoice-title-hint = Ce qui est facturé, tel que le client le lit.
invoice-create = Créer la facture
invoice-create-title = Créer une facture
invoice-deleted = Cette facture a été supprimée : elle ne peut plus être payée. Ses paiements restent.
invoice-void-button = Annuler la facture
invoice-void-question = Annuler { $name } ?
invoice-void-consequence = Elle ne peut plus être payée. Elle garde son numéro et son historique. C'est irréversible.
customer = Client
customer-name = Nom du client
customer-email = E-mail du client
wrong-invoice-title = Dites ce qui est facturé, en 200 caractères au plus, sans retour à la ligne
wrong-due = Saisissez le dernier jour où elle peut être payée à temps
wrong-customer-name = Réduisez le nom à 200 caractères
flash-invoice-made = Créée : { $name }
flash-invoice-voided = Annulée : { $name }
flash-invoice-deleted = Supprimée : { $name }
flash-invoice-moved = Rien n'a été changé : la facture a été payée entre-temps.

recurring-payment = Paiement récurrent
recurring-intro = Un prix qui revient, période après période. Chaque période est une facture à part, payée sur la même page.
recurring-search = Rechercher nom, identifiant ou client
recurring-none = Aucun paiement récurrent pour le moment
recurring-none-next = Créez-en un, envoyez l'adresse de sa page, et voyez ici quelles périodes ont été payées.
recurring-none-found = Aucun paiement récurrent ne correspond
recurring-active = Actif
recurring-past-due = En retard
recurring-paused = En pause
recurring-cancelled = Terminé
recurring-held = Suspendu
recurring-held-why = Plus de douze périodes ont été manquées, aucune autre n'est donc créée. Reprenez-le pour continuer à partir de maintenant ; les périodes manquées ne sont pas rattrapées.
recurring-name = Nom
recurring-name-hint = Ce à quoi le client s'abonne, tel qu'il le lit. Facultatif.
recurring-days = { $count ->
    [one] tous les jours
   *[other] tous les { $count } jours
}
recurring-weeks = { $count ->
    [one] toutes les semaines
   *[other] toutes les { $count } semaines
}
recurring-months = { $count ->
    [one] tous les mois
   *[other] tous les { $count } mois
}
recurring-years = { $count ->
    [one] tous les ans
   *[other] tous les { $count } ans
}
recurring-interval = Revient
recurring-every = Revient tous les
recurring-every-hint = 3660 jours ou 120 mois au plus.
recurring-unit = Unité
unit-days = jours
unit-weeks = semaines
unit-months = mois
unit-years = ans
recurring-first = Première échéance
recurring-first-hint = À l'heure de { $zone }. Elle peut être passée : les périodes depuis lors sont rattrapées, douze au plus.
recurring-next = Prochaine échéance
recurring-periods = Périodes
recurring-share-hint = On y paie la période la plus récente.
recurring-create = Créer le paiement récurrent
recurring-create-title = Créer un paiement récurrent
recurring-edit-intro = Ce que vous changez vaut à partir de la prochaine période.
recurring-deleted = Ce paiement récurrent a été supprimé : aucune de ses périodes ne peut plus être payée. Ce qui a été payé reste.
recurring-pause = Mettre en pause
recurring-resume = Reprendre
recurring-cancel = Terminer
recurring-cancel-question = Terminer { $name } ?
recurring-cancel-consequence = Plus aucune période n'est créée, définitivement. Celles qui existent peuvent encore être payées.
wrong-first-due = Saisissez le jour et l'heure de la première échéance
wrong-interval = Saisissez de 1 à 3660 jours, ou jusqu'à 120 mois
invoice-period-of = Période de
customer-wallet = Portefeuille du client
flash-recurring-made = Paiement récurrent créé : { $name }
flash-recurring-saved = Paiement récurrent modifié : { $name }
flash-recurring-paused = En pause : { $name }
flash-recurring-resumed = Repris : { $name }
flash-recurring-cancelled = Terminé : { $name }
flash-recurring-deleted = Paiement récurrent supprimé : { $name }
flash-recurring-ended = Rien n'a été changé : le paiement récurrent s'est terminé entre-temps.

checkout-intro = L'aspect et le comportement des pages sur lesquelles vos clients paient, dans cet environnement. Les paiements déjà commencés gardent leurs conditions.
checkout-look = Aspect
checkout-accent = Couleur des boutons et des liens
checkout-accent-hint = # et six chiffres hexadécimaux. Elle doit se lire sur une page claire ; la page sombre l'éclaircit autant qu'il le faut. Vide, c'est la nôtre.
checkout-accent-now = Actuellement :
checkout-sample = Payer
checkout-languages = Langue
checkout-any-language = Celle que demande le navigateur du payeur, français ou anglais
checkout-logo-hint = Le logo est celui de Paramètres > Entreprise.
checkout-after = Après le paiement
checkout-redirect-hint = Où les payeurs vont ensuite, sauf si le lien ou la facture en dit autrement : une adresse qui commence par https://. Facultatif.
checkout-origins = Pages prévenues
checkout-origins-hint = Les origines des boutiques qui ouvrent la page dans une fenêtre et sont prévenues du paiement, une par ligne, comme https://boutique.example. Celles de vos clés Checkout sont prévenues aussi.
checkout-paid = Ce qui compte comme payé
checkout-tolerance-amount = USDC qui peuvent manquer
checkout-tolerance-amount-hint = Par exemple 0.05, pour les plateformes qui retiennent des frais.
checkout-tolerance-per-mille = Millièmes qui peuvent manquer
checkout-tolerance-per-mille-hint = 5 font un demi pour cent. Le plus grand des deux compte, et jamais plus de 5 % du prix.
checkout-accepts-late = L'argent en retard règle
checkout-late = L'argent qui arrive après l'heure
checkout-late-settles = Règle le paiement
checkout-late-settles-hint = Il est marqué en retard.
checkout-late-waits = Attend votre décision
checkout-late-waits-hint = Rien n'est livré avant que quelqu'un l'accepte sous Paiements.
wrong-accent = Saisissez # et six chiffres hexadécimaux, comme #2440c8
wrong-accent-faint = Cette couleur est trop claire pour être lue : son contraste est de { $contrast }, il en faut 4.5. La plus proche qui se lit est { $nearest }.
wrong-tolerance-amount = Saisissez un montant comme 0.05 : des chiffres et un point, 6 décimales au plus
wrong-tolerance-per-mille = Saisissez un nombre entier de 0 à { $most }
flash-checkout-saved = Réglages de la page de paiement enregistrés

takings-payments = { $count ->
    [one] { $count } paiement
   *[other] { $count } paiements
}
takings-none = Rien de réglé
takings-of-list = Réglé dans cette liste :
takings-by-day = Paiements réglés, par jour
takings-by-key = Paiements réglés, par clé
takings-amount = Réglé
takings-hosted = Commencés sur la page hébergée
takings-about = Paiements réglés du { $first } au { $last } ; au plus { $most } en un jour.
