-- Deliveries that are under way: they are counted before more are sent to their endpoint, however many wait behind them.
CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (endpoint_id, locked_until)
    WHERE state = 'pending' AND locked_until IS NOT NULL;
