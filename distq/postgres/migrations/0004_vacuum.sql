-- A queue's rows live for moments. At the pace that autovacuum takes by default, dead ones pile up for as long as jobs come fast.
ALTER TABLE distq.job SET (autovacuum_vacuum_cost_delay = 0);
ALTER TABLE distq.finished SET (autovacuum_vacuum_cost_delay = 0);
