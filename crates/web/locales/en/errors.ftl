# Pages about failures.

request-id = Request ID
copy-request-id = Copy request ID
try-again = Try again
to-start = To the start page

error-role-title = Your role does not include this
error-role-cause = This page is for the role { $roles } of this business.
error-role-next = Ask an administrator of the business if you need it. Nothing was changed.
error-platform-cause = This page is for the platform administrators of this installation.
error-platform-next = Ask whoever operates this installation if you need it. Nothing was changed.

error-not-found-title = There is nothing here
error-not-found-cause = The address is wrong, what was here is gone, or it belongs to a business that you are no member of.
error-not-found-next = Check the address, or go on from the start page.

error-method-title = This cannot be opened like this
error-method-cause = The address is that of a form, not of a page.

error-gone-title = This link cannot be used any more
error-gone-cause = It was used already, or its time is over.
error-gone-next = Ask for a new one where you got it from.

error-cross-site-title = This form was not accepted
error-cross-site-cause = It did not come from a page of this site in your current session. Nothing was changed.
error-cross-site-next = Open the page again and send the form once more.

error-key-in-url-title = There is an API key in the address
error-key-in-url-cause = Addresses end up in histories and logs. Nothing was looked up.
error-key-in-url-next = If it is a real key, rotate it now. Use “Whose key is this?” on the page of API keys to find it.

error-limited-title = Too many attempts
error-limited-cause = To protect accounts, this is allowed only so often.
error-limited-next = Wait a moment, then try again.

error-internal-title = Something went wrong on our side
error-internal-cause = The request could not be finished. Its cause is in our log under the request ID.
error-internal-next = Try again. If it happens again, send the request ID to the operator of this installation.

error-unavailable-title = The service is not available right now
error-unavailable-cause = It is being maintained, or has too much to do. Nothing was changed.
error-unavailable-next = Try again in a moment.

error-other-next = Go back, mend it, and try again.
error-sent-otherwise-title = This form was sent already
error-sent-otherwise-cause = It was sent before with other fields, and did what they asked for. What you sent now was not done.
error-sent-otherwise-next = Look at what there is, and open the form anew if you want this as well.
