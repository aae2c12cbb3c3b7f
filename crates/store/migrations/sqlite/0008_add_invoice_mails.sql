-- When an invoice was last mailed to its customer, and when it is next looked at for a reminder; never, where none is
-- left, or where the customer never got it. `reminded` is the latest reminder that went out or was passed over.
ALTER TABLE invoices ADD COLUMN sent_at INTEGER;
ALTER TABLE invoices ADD COLUMN remind_at INTEGER;

CREATE INDEX invoices_remind ON invoices (remind_at, id)
    WHERE remind_at IS NOT NULL AND paid_at IS NULL AND voided_at IS NULL AND deleted_at IS NULL;

-- Invoices that were mailed of late, so that no key fills a mailbox. Kept for as long as the limits look back.
CREATE TABLE invoice_mails (
    -- The id of the mail.
    id TEXT NOT NULL PRIMARY KEY,
    business_id TEXT NOT NULL REFERENCES businesses (id),
    environment TEXT NOT NULL CHECK (environment IN ('test', 'live')),
    invoice_id TEXT NOT NULL REFERENCES invoices (id),
    recipient TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;

CREATE INDEX invoice_mails_recipient ON invoice_mails (business_id, environment, recipient, at);
CREATE INDEX invoice_mails_at ON invoice_mails (at);
