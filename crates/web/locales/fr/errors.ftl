# Les pages d'erreur.

request-id = Numéro de requête
copy-request-id = Copier le numéro de requête
try-again = Réessayer
to-start = Vers la page d'accueil

error-role-title = Votre rôle ne le permet pas
error-role-cause = Cette page est réservée au rôle { $roles } de cette entreprise.
error-role-next = Adressez-vous à un administrateur de l'entreprise si vous en avez besoin. Rien n'a été modifié.
error-platform-cause = Cette page est réservée aux administrateurs de la plateforme de cette installation.
error-platform-next = Adressez-vous à l'exploitant de cette installation si vous en avez besoin. Rien n'a été modifié.

error-not-found-title = Il n'y a rien ici
error-not-found-cause = L'adresse est fausse, ce qui était ici n'existe plus, ou appartient à une entreprise dont vous n'êtes pas membre.
error-not-found-next = Vérifiez l'adresse, ou repartez de la page d'accueil.

error-method-title = Cette adresse ne s'ouvre pas ainsi
error-method-cause = C'est l'adresse d'un formulaire, pas d'une page.

error-gone-title = Ce lien n'est plus utilisable
error-gone-cause = Il a déjà servi, ou son délai est passé.
error-gone-next = Demandez-en un nouveau là où vous l'avez obtenu.

error-cross-site-title = Ce formulaire n'a pas été accepté
error-cross-site-cause = Il ne venait pas d'une page de ce site dans votre session actuelle. Rien n'a été modifié.
error-cross-site-next = Rouvrez la page et envoyez de nouveau le formulaire.

error-key-in-url-title = Il y a une clé API dans l'adresse
error-key-in-url-cause = Les adresses finissent dans les historiques et les journaux. Rien n'a été recherché.
error-key-in-url-next = S'il s'agit d'une vraie clé, renouvelez-la maintenant. « À qui est cette clé ? », sur la page des clés API, permet de la retrouver.

error-limited-title = Trop de tentatives
error-limited-cause = Pour protéger les comptes, le nombre de tentatives est limité.
error-limited-next = Attendez un instant, puis réessayez.

error-internal-title = Une erreur s'est produite de notre côté
error-internal-cause = La requête n'a pas pu aboutir. La cause est dans notre journal sous le numéro de requête.
error-internal-next = Réessayez. Si cela se reproduit, transmettez le numéro de requête à l'exploitant de cette installation.

error-unavailable-title = Le service n'est pas disponible pour le moment
error-unavailable-cause = Une maintenance est en cours, ou la charge est trop forte. Rien n'a été modifié.
error-unavailable-next = Réessayez dans un instant.

error-other-next = Revenez en arrière, corrigez, puis réessayez.
error-sent-otherwise-title = Ce formulaire a déjà été envoyé
error-sent-otherwise-cause = Il a été envoyé auparavant avec d'autres champs, et ce qu'ils demandaient a été fait. Ce que vous venez d'envoyer n'a pas été fait.
error-sent-otherwise-next = Regardez ce qui existe, puis ouvrez à nouveau le formulaire si vous voulez aussi cela.
